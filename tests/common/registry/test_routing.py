"""Canaries and shadows in a model's tags, against a real MLflow server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from common.errors import PermanentError
from common.registry import RegisteredModel, Registry, Tag
from common.registry.routing import (
    Canary,
    Routing,
    RoutingTag,
    read_routing,
    start_canary,
    start_shadow,
    stop_canary,
    stop_shadow,
    version_in_shadow,
    versions_in_use,
)
from tests.common.registry.conftest import CONTENT, DIGEST, Server


async def routing(server: Server, registry: Registry) -> Routing:
    return read_routing((await registry.model(server.model)).tags)


@pytest.fixture
def numbers(server: Server) -> list[str]:
    """Three versions whose files are there; the first is the champion."""
    found = [server.add(CONTENT, {Tag.DIGEST: DIGEST}) for _ in range(3)]
    server.point("champion", found[0])
    return found


async def test_a_canary_stands_in_the_registry_until_it_is_stopped(
    server: Server, registry: Registry, numbers: list[str]
) -> None:
    begun = await start_canary(registry, server.model, numbers[1], 12.5)
    found = await routing(server, registry)
    assert (begun.version, begun.percent) == (numbers[1], 12.5)
    assert found == Routing(canary=begun)
    (listed,) = [model for model in await registry.models() if model.name == server.model]
    assert read_routing(listed.tags) == found

    stopped = await stop_canary(registry, server.model, reason="errors", found="many")

    assert stopped is not None
    assert (stopped.version, stopped.since) == (begun.version, begun.since)
    assert await routing(server, registry) == Routing(stopped=stopped)


async def test_stopping_twice_is_the_same_as_once(
    server: Server, registry: Registry, numbers: list[str]
) -> None:
    begun = await start_canary(registry, server.model, numbers[1], 10)
    first = await stop_canary(registry, server.model, reason="errors", only=begun)

    assert await stop_canary(registry, server.model, reason="latency", only=begun) is None
    assert (await routing(server, registry)).stopped == first


async def test_whoever_stops_an_old_canary_does_not_stop_the_one_that_came_after_it(
    server: Server, registry: Registry, numbers: list[str]
) -> None:
    old = await start_canary(registry, server.model, numbers[1], 10)
    new = await start_canary(registry, server.model, numbers[1], 10)
    assert old != new

    assert await stop_canary(registry, server.model, reason="errors", only=old) is None

    assert (await routing(server, registry)).canary == new


async def test_a_canary_may_be_begun_again_after_it_was_stopped(
    server: Server, registry: Registry, numbers: list[str]
) -> None:
    await start_canary(registry, server.model, numbers[1], 10)
    await stop_canary(registry, server.model, reason="errors")

    again = await start_canary(registry, server.model, numbers[1], 10)

    assert (await routing(server, registry)).canary == again


async def test_a_shadow_stands_in_the_registry_until_it_is_stopped(
    server: Server, registry: Registry, numbers: list[str]
) -> None:
    begun = await start_shadow(registry, server.model, numbers[2])
    assert (await routing(server, registry)).shadow == begun

    assert await stop_shadow(registry, server.model) == begun
    assert await stop_shadow(registry, server.model) is None
    assert await routing(server, registry) == Routing()


@pytest.mark.parametrize("percent", [0, -1, 100.1, float("nan")])
async def test_a_share_is_above_nothing_and_up_to_all(
    percent: float, server: Server, registry: Registry, numbers: list[str]
) -> None:
    with pytest.raises(PermanentError) as refused:
        await start_canary(registry, server.model, numbers[1], percent)
    assert refused.value.code == "bad-percentage"


async def test_only_another_version_whose_files_are_sound_takes_part(
    server: Server, registry: Registry, numbers: list[str]
) -> None:
    spoilt = server.add(CONTENT, {Tag.DIGEST: "0" * 64})

    async def start_a_tenth(registry: Registry, model: str, version: str) -> Canary:
        return await start_canary(registry, model, version, 10)

    acts: list[Callable[[Registry, str, str], Awaitable[object]]] = [start_shadow, start_a_tenth]
    for act in acts:
        for model, version, code in (
            ("nobody", "1", "unknown-model"),
            (server.model, "99", "unknown-version"),
            (server.model, numbers[0], "already-champion"),
            (server.model, spoilt, "digest-mismatch"),
        ):
            with pytest.raises(PermanentError) as refused:
                await act(registry, model, version)
            assert refused.value.code == code
    assert await routing(server, registry) == Routing()


async def test_a_model_without_a_champion_has_nothing_to_stand_beside(
    server: Server, registry: Registry
) -> None:
    version = server.add(CONTENT, {Tag.DIGEST: DIGEST})
    with pytest.raises(PermanentError) as refused:
        await start_canary(registry, server.model, version, 10)
    assert refused.value.code == "no-champion"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("ten per cent", id="no JSON"),
        pytest.param('{"version": 2, "percent": 10, "since": ""}', id="a number for a version"),
        pytest.param('{"version": "", "percent": 10, "since": ""}', id="no version"),
        pytest.param('{"version": "2", "percent": 0, "since": ""}', id="no share"),
        pytest.param('{"version": "2", "percent": 101, "since": ""}', id="more than all"),
        pytest.param('{"percent": 10, "since": ""}', id="a part is missing"),
    ],
)
def test_a_tag_that_nobody_understands_routes_nothing_and_the_others_still_do(text: str) -> None:
    shadow = '{"version": "3", "since": ""}'
    found = read_routing({RoutingTag.CANARY: text, RoutingTag.SHADOW: shadow})
    assert found.canary is None
    assert found.shadow is not None
    assert list(found.faults) == [RoutingTag.CANARY]


def test_workers_keep_what_aliases_and_the_canary_mean_and_onlookers_the_shadow_alone() -> None:
    canary = Canary(version="2", percent=10, since="")
    model = RegisteredModel(
        name="m",
        aliases={"champion": "1"},
        tags={
            RoutingTag.CANARY: '{"version": "2", "percent": 10, "since": "then"}',
            RoutingTag.SHADOW: '{"version": "3", "since": "then"}',
        },
    )
    assert canary.version in versions_in_use(model).values()
    assert sorted(versions_in_use(model).values()) == ["1", "2"]
    assert list(version_in_shadow(model).values()) == ["3"]
    bare = RegisteredModel(name="m", aliases={"champion": "1"})
    assert versions_in_use(bare) == {"champion": "1"}
    assert version_in_shadow(bare) == {}
