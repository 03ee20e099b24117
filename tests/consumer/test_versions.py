from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import pytest

from common.errors import PermanentError
from common.messages import Completed, Failed
from common.registry import ModelFiles, ModelVersion
from common.registry.routing import Canary, RoutingTag
from consumer.served_model import ServedModel, build
from consumer.settings import Settings
from consumer.version_cache import SpareRoom, VersionCache
from consumer.wiring import Worker
from tests.consumer.conftest import Caller, Running
from tests.consumer.registering import TestRegistry
from tests.consumer.tiny_models import TinyModel, request_of, train

PLENTY = SpareRoom(versions=100, bytes=1 << 30)


def files_of(model: TinyModel, version: str = "1") -> ModelFiles:
    family = model.contract.family
    return ModelFiles(
        version=ModelVersion(model=family, version=version, model_id="m-1"),
        model=model.model,
        encoders=model.encoders,
        contract=model.contract.source_text.encode(),
    )


class Shelf:
    """Builds versions of one tiny model, and counts how often it was asked."""

    def __init__(self) -> None:
        self.files = files_of(train("parcels", generation=1))
        self.loads: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self, model: str, version: str) -> ServedModel:
        self.loads.append(version)
        await self.gate.wait()
        if version == "missing":
            raise PermanentError("unknown-version", "There is no such version.")
        return build(model, version, self.files)


async def test_a_version_that_many_ask_for_at_once_is_loaded_once() -> None:
    shelf = Shelf()
    shelf.gate.clear()
    cache = VersionCache(shelf.load, PLENTY)
    asking = [asyncio.create_task(cache.get("parcels", "1")) for _ in range(20)]
    await asyncio.sleep(0)
    shelf.gate.set()

    found = await asyncio.gather(*asking)

    assert shelf.loads == ["1"]
    assert all(served is found[0] for served in found)


async def test_one_caller_that_gives_up_does_not_stop_the_load_for_the_others() -> None:
    shelf = Shelf()
    shelf.gate.clear()
    cache = VersionCache(shelf.load, PLENTY)
    impatient, patient = (asyncio.create_task(cache.get("parcels", "1")) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    shelf.gate.set()

    assert (await patient).version == "1"


async def test_a_load_that_failed_is_tried_again_by_the_next_who_asks() -> None:
    shelf = Shelf()
    cache = VersionCache(shelf.load, PLENTY)

    for _ in range(2):
        with pytest.raises(PermanentError):
            await cache.get("parcels", "missing")

    assert shelf.loads == ["missing", "missing"]
    assert cache.loaded == ()


async def test_the_version_least_recently_used_leaves_first_and_a_pinned_one_never() -> None:
    shelf = Shelf()
    cache = VersionCache(shelf.load, SpareRoom(versions=2, bytes=1 << 30))
    await cache.get("parcels", "champion")
    cache.pin("parcels", ["champion"])
    for version in ("1", "2", "1", "3"):
        await cache.get("parcels", version)

    assert {version for _, version in cache.loaded} == {"champion", "1", "3"}


async def test_spare_versions_leave_when_they_weigh_too_much_but_the_one_in_use_stays() -> None:
    shelf = Shelf()
    cache = VersionCache(shelf.load, SpareRoom(versions=100, bytes=0))
    for version in ("1", "2"):
        await cache.get("parcels", version)

    assert cache.loaded == (("parcels", "2"),)


def test_encoders_and_trees_of_two_trainings_make_no_version() -> None:
    narrow, wide = train("parcels", generation=1), train("parcels", generation=1, context=False)
    mixed = TinyModel(narrow.contract, wide.encoders, narrow.model, narrow.labels)

    with pytest.raises(PermanentError) as caught:
        build("parcels", "1", files_of(mixed))

    assert caught.value.code == "unusable-version"


async def test_an_alias_that_moves_under_load_loses_nothing_and_mixes_nothing(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    models = {}
    for generation in (1, 2):
        model = train(family, generation=generation)
        models[registry.register(model, "champion" if generation == 1 else None)] = model

    async with running(settings):
        replies: list[Completed | Failed] = []

        async def ask_on() -> None:
            while len(versions_in(replies)) < 2:
                request = request_of(models["1"], str(uuid4()), rows=9, fresh_id=True)
                replies.append(await caller.ask(request))

        asking = [asyncio.create_task(ask_on()) for _ in range(8)]
        while len(replies) < 20:  # noqa: ASYNC110 - the load itself is the clock
            await asyncio.sleep(0.01)
        registry.point(family, "champion", "2")
        await asyncio.gather(*asking)

    for reply in replies:
        assert isinstance(reply, Completed)
        assert set(reply.labels) <= set(models[reply.version].labels)
    assert versions_in(replies) == {"1", "2"}


async def test_a_file_read_before_the_contract_changed_is_labelled_by_the_version_it_was_read_for(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    old = train(family, generation=1)
    registry.register(old)
    new = train(family, generation=2, title="Parcels and letters")

    async with running(settings) as parts:
        registry.register(new)
        await _until_served(parts, family, "champion", "2")
        early = await caller.ask(request_of(old, str(uuid4())))
        late = await caller.ask(request_of(new, str(uuid4())))

    assert isinstance(early, Completed)
    assert isinstance(late, Completed)
    assert (early.version, late.version) == ("1", "2")
    assert set(early.labels) <= set(old.labels)


async def test_a_canary_is_loaded_before_its_first_file_and_one_that_cannot_be_is_told(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    registry.register(train(family, generation=2), alias=None)
    registry.register(train(family, generation=3), alias=None, digest="0" * 64)

    async with running(settings) as parts:
        _begin_canary(registry, family, "2")
        await _until_served(parts, family, "(canary)", "2")
        _begin_canary(registry, family, "3")
        await _until_troubled(parts)
        reply = await caller.ask(request_of(model, str(uuid4())))
        condition = await parts.health.ready()

    assert isinstance(reply, Completed)
    assert reply.version == "1"
    assert any("(canary): version 3" in note for note in condition.notes)


@pytest.mark.parametrize("damage", ["its files are not what training wrote", "it is no model"])
async def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving(
    damage: str, registry: TestRegistry, running: Running, caller: Caller, settings: Settings
) -> None:
    family = caller.family
    model = train(family, generation=1)
    registry.register(model)

    async with running(settings) as parts:
        if damage == "it is no model":
            broken = TinyModel(model.contract, model.encoders, b"tree\nnonsense", model.labels)
            registry.register(broken)
        else:
            registry.register(train(family, generation=2), digest="0" * 64)
        await _until_troubled(parts)

        reply = await caller.ask(request_of(model, str(uuid4())))
        pinned = await caller.ask(request_of(model, str(uuid4()), version="2"))
        condition = await parts.health.ready()

    assert isinstance(reply, Completed)
    assert reply.version == "1"
    assert isinstance(pinned, Failed)
    assert pinned.code == "internal"
    assert condition.versions == {family: {"champion": "1"}}
    assert any("version 2" in note for note in condition.notes)
    assert not any(family in problem for problem in condition.problems)


async def test_a_version_without_an_alias_is_loaded_when_it_is_asked_for(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    registry.register(train(family, generation=1))
    pinned = train(family, generation=2)
    version = registry.register(pinned, alias=None)

    async with running(settings):
        requests = [request_of(pinned, str(uuid4()), version=version) for _ in range(5)]
        replies = await asyncio.gather(*(caller.ask(request) for request in requests))

    for reply in replies:
        assert isinstance(reply, Completed)
        assert reply.version == version
        assert set(reply.labels) <= set(pinned.labels)


async def test_an_alias_set_a_moment_ago_is_found_by_the_first_request_that_names_it(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    version = registry.register(model)
    rarely = settings.model_copy(update={"registry_refresh": settings.registry_refresh * 500})

    async with running(rarely):
        registry.point(family, "challenger", version)
        reply = await caller.ask(request_of(model, str(uuid4()), alias="challenger"))

    assert isinstance(reply, Completed)


async def test_a_registry_that_goes_away_changes_nothing_but_what_health_notes(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)

    async with running(settings) as parts:
        parts.aliases._registry._rest._base = "http://127.0.0.1:9"
        await _until_troubled(parts)
        reply = await caller.ask(request_of(model, str(uuid4())))
        condition = await parts.health.ready()

    assert isinstance(reply, Completed)
    assert condition.notes


def versions_in(replies: list[Completed | Failed]) -> set[str]:
    return {reply.version for reply in replies if isinstance(reply, Completed)}


def _begin_canary(registry: TestRegistry, family: str, version: str) -> None:
    canary = Canary(version=version, percent=10, since=version)
    tag = msgspec.json.encode(canary).decode()
    registry._post("registered-models/set-tag", name=family, key=RoutingTag.CANARY, value=tag)


async def _until_served(parts: Worker, family: str, alias: str, version: str) -> None:
    async with asyncio.timeout(30):
        while parts.aliases.versions[family].get(alias) != version:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _until_troubled(parts: Worker) -> None:
    async with asyncio.timeout(30):
        while True:
            if parts.aliases.troubles:
                return
            await asyncio.sleep(0.05)
