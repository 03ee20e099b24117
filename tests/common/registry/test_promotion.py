"""Champions and their history, against a real MLflow server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from common.errors import PermanentError, TransientError
from common.registry import Registry, Tag
from common.registry.promotion import promote, rollback
from tests.common.registry.conftest import Server


async def champion(server: Server, registry: Registry) -> str | None:
    return (await registry.model(server.model)).aliases.get("champion")


async def tags(server: Server, registry: Registry, version: str) -> dict[str, str]:
    return (await registry.version(server.model, version)).tags


async def test_a_promoted_version_serves_and_remembers_whom_it_replaced_when_and_why(
    server: Server, registry: Registry
) -> None:
    first, second = server.add({}, {}), server.add({}, {})
    before = datetime.now(UTC).replace(microsecond=0)

    began = await promote(registry, server.model, first, reason="the first")
    then = await promote(registry, server.model, second, reason="better by 0.02")

    assert (began.replaced, then.replaced) == (None, first)
    assert await champion(server, registry) == second
    assert Tag.REPLACED not in await tags(server, registry, first)
    found = await tags(server, registry, second)
    assert found[Tag.REPLACED] == first
    assert found[Tag.PROMOTED_BECAUSE] == "better by 0.02"
    assert before <= datetime.fromisoformat(found[Tag.PROMOTED_AT]) <= datetime.now(UTC)


async def test_promoting_the_champion_again_changes_nothing(
    server: Server, registry: Registry
) -> None:
    first, second = server.add({}, {}), server.add({}, {})
    await promote(registry, server.model, first, reason="a")
    once = await promote(registry, server.model, second, reason="b")
    kept = await tags(server, registry, second)

    again = await promote(registry, server.model, second, reason="c")

    assert (again.is_new, again.replaced, again.at, again.reason) == (False, first, once.at, "b")
    assert await tags(server, registry, second) == kept


class Interrupted(Registry):
    """Breaks off where it would move the alias."""

    async def point(self, model: str, alias: str, version: str) -> None:
        raise TransientError("registry-unavailable", f"{model} {alias} {version}")


async def test_a_promotion_that_broke_off_before_the_alias_moved_is_done_by_repeating_it(
    server: Server, registry: Registry
) -> None:
    first, second = server.add({}, {}), server.add({}, {})
    await promote(registry, server.model, first, reason="a")
    async with Interrupted(server.uri) as interrupted:
        with pytest.raises(TransientError):
            await promote(interrupted, server.model, second, reason="b")
    assert await champion(server, registry) == first

    await promote(registry, server.model, second, reason="b")

    assert await champion(server, registry) == second
    assert (await tags(server, registry, second))[Tag.REPLACED] == first


async def test_a_rollback_puts_the_replaced_version_back_and_marks_the_one_that_left(
    server: Server, registry: Registry
) -> None:
    first, second = server.add({}, {}), server.add({}, {})
    await promote(registry, server.model, first, reason="a")
    await promote(registry, server.model, second, reason="b")

    done = await rollback(registry, server.model, reason="labels nobody knows")

    assert (done.version, done.replaced) == (first, second)
    assert await champion(server, registry) == first
    found = await tags(server, registry, second)
    assert found[Tag.ROLLED_BACK_BECAUSE] == "labels nobody knows"
    assert found[Tag.ROLLED_BACK_AT] == done.at


async def test_rollbacks_go_back_step_by_step_and_end_at_the_first_champion(
    server: Server, registry: Registry
) -> None:
    numbers = [server.add({}, {}) for _ in range(3)]
    for number in numbers:
        await promote(registry, server.model, number, reason="a")

    returned = [(await rollback(registry, server.model, reason="b")).version for _ in range(2)]
    with pytest.raises(PermanentError) as refused:
        await rollback(registry, server.model, reason="b")

    assert returned == [numbers[1], numbers[0]]
    assert refused.value.code == "nothing-to-roll-back-to"
    assert await champion(server, registry) == numbers[0]


async def test_a_version_that_was_rolled_back_is_not_rolled_back_to(
    server: Server, registry: Registry
) -> None:
    bad, good = server.add({}, {}), server.add({}, {})
    await promote(registry, server.model, good, reason="a")
    await promote(registry, server.model, bad, reason="b")
    await rollback(registry, server.model, reason="it was bad")
    last = server.add({}, {})
    server.point("champion", bad)  # by somebody else's tool
    await promote(registry, server.model, last, reason="c")

    with pytest.raises(PermanentError, match="itself rolled back") as refused:
        await rollback(registry, server.model, reason="d")

    assert refused.value.code == "nothing-to-roll-back-to"


async def test_a_rolled_back_version_that_is_promoted_again_bears_no_mark_any_more(
    server: Server, registry: Registry
) -> None:
    first, second = server.add({}, {}), server.add({}, {})
    await promote(registry, server.model, first, reason="a")
    await promote(registry, server.model, second, reason="b")
    await rollback(registry, server.model, reason="too soon")

    await promote(registry, server.model, second, reason="c")

    found = await tags(server, registry, second)
    assert Tag.ROLLED_BACK_AT not in found
    assert Tag.ROLLED_BACK_BECAUSE not in found


async def test_what_is_not_there_is_neither_promoted_nor_rolled_back(
    server: Server, registry: Registry
) -> None:
    server.add({}, {})
    for act, code in (
        (promote(registry, "nobody", "1", reason=""), "unknown-model"),
        (promote(registry, server.model, "99", reason=""), "unknown-version"),
        (rollback(registry, "nobody", reason=""), "unknown-model"),
        (rollback(registry, server.model, reason=""), "no-champion"),
    ):
        with pytest.raises(PermanentError) as refused:
            await act
        assert refused.value.code == code
    assert await champion(server, registry) is None


async def test_a_version_without_a_run_has_no_metrics(server: Server, registry: Registry) -> None:
    version = await registry.version(server.model, server.add({}, {}))
    assert await registry.metrics(version) == {}
