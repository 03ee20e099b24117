"""The registry's client against a real MLflow server: it finds, checks and refuses."""

from __future__ import annotations

import pytest

from client.local.engine import free_port
from common.errors import PermanentError, TransientError
from common.registry import ModelVersion, Registry, Tag, files_digest
from tests.common.registry.conftest import CONTENT, DIGEST, Server


async def test_a_version_is_found_by_number_and_by_alias_with_its_files(
    server: Server, registry: Registry
) -> None:
    first = server.add(CONTENT, {Tag.DIGEST: DIGEST})
    server.add(CONTENT, {Tag.DIGEST: DIGEST})
    server.point("champion", first)
    by_alias = await registry.version_by_alias(server.model, "champion")
    assert by_alias == await registry.version(server.model, first)
    files = await registry.files(by_alias)
    assert files.version == by_alias
    assert [files.model, files.encoders, files.contract] == list(CONTENT.values())
    assert await registry.contract(by_alias) == "é: 1\n"


async def test_the_list_has_aliases_and_versions_newest_first(
    server: Server, registry: Registry
) -> None:
    numbers = [server.add({}, {Tag.DIGEST: DIGEST}) for _ in range(3)]
    server.point("champion", numbers[1])
    server.point("challenger", numbers[2])
    found = {model.name: model for model in await registry.models()}[server.model]
    assert found.description == "of a test"
    assert found.aliases == {"champion": numbers[1], "challenger": numbers[2]}
    assert [version.version for version in found.versions] == list(reversed(numbers))
    assert found.versions[0].tags == {Tag.DIGEST: DIGEST}


@pytest.mark.parametrize("name", sorted(CONTENT))
async def test_a_version_whose_file_was_changed_is_not_loaded(
    server: Server, registry: Registry, name: str
) -> None:
    changed = CONTENT | {name: CONTENT[name] + b" "}
    version = await registry.version(server.model, server.add(changed, {Tag.DIGEST: DIGEST}))
    with pytest.raises(PermanentError, match="not what training wrote") as refused:
        await registry.files(version)
    assert refused.value.code == "digest-mismatch"


async def test_a_version_without_a_digest_or_without_a_file_is_not_servable(
    server: Server, registry: Registry
) -> None:
    partial = {name: body for name, body in CONTENT.items() if name != "encoders.json"}
    for number in (server.add(CONTENT, {}), server.add(partial, {Tag.DIGEST: DIGEST})):
        version = await registry.version(server.model, number)
        with pytest.raises(PermanentError) as refused:
            await registry.files(version)
        assert refused.value.code == "unservable-version"


async def test_unknown_models_versions_and_aliases_are_named(
    server: Server, registry: Registry
) -> None:
    server.add({}, {})
    for asked in (
        registry.version(server.model, "99"),
        registry.version(server.model, "newest"),
        registry.version("nobody", "1"),
        registry.version_by_alias(server.model, "champion"),
        registry.version_by_alias("nobody", "champion"),
    ):
        with pytest.raises(PermanentError) as refused:
            await asked
        assert refused.value.code == "unknown-version"


async def test_a_server_that_is_away_is_worth_another_try() -> None:
    async with Registry(f"http://127.0.0.1:{free_port()}") as registry:
        with pytest.raises(TransientError) as refused:
            await registry.ping()
        assert refused.value.code == "registry-unavailable"


async def test_a_server_that_is_up_answers_the_ping(registry: Registry) -> None:
    await registry.ping()


async def test_an_address_that_is_no_mlflow_server_says_what_to_check(mlflow_server: str) -> None:
    async with Registry(f"{mlflow_server}/elsewhere") as registry:
        with pytest.raises(PermanentError, match="MLFLOW_TRACKING_URI"):
            await registry.models()


def test_an_address_that_is_not_http_is_refused() -> None:
    with pytest.raises(PermanentError, match="http://"):
        Registry("sqlite:///mlflow.db")


def test_the_digest_tells_apart_what_moves_from_one_file_to_the_next() -> None:
    assert files_digest(model=b"ab", encoders=b"c", contract=b"") != files_digest(
        model=b"a", encoders=b"bc", contract=b""
    )
    assert ModelVersion(model="m", version="1", model_id="i").tags == {}
