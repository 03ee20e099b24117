"""A canary's share, on the real engine: sticky, outranked by the client's word, ended when bad."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import msgspec
import pytest

from common.errors import TransientError
from common.messages import Failed, FailureCode, PredictionReply, PredictionRequest
from common.registry.routing import Canary, CanaryStopped, RoutingTag
from producer.settings import Settings
from tests.producer.conftest import PATIENCE_SECONDS, Client
from tests.producer.parts import (
    CONTRACT,
    Act,
    RegistryServer,
    Worker,
    labelled,
    parcels_file,
    reply_at_once,
)

SINCE = "2026-01-02T03:04:05.678901+00:00"


def begin(registry: RegistryServer, percent: float, *, since: str = SINCE) -> None:
    registry.contracts.setdefault("2", CONTRACT)
    canary = Canary(version="2", percent=percent, since=since)
    registry.tags[RoutingTag.CANARY] = msgspec.json.encode(canary).decode()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - the producer's own look is the clock
            await asyncio.sleep(0.02)


async def seen(client: Client, percent: float) -> None:
    """Return once the producer knows of a canary of this share."""

    def knows() -> bool:
        canary = client.producer.catalogue.models["parcels"].canary
        return canary is not None and canary.percent == percent

    await until(knows)


async def version_of(client: Client, query: str = "", **headers: str) -> str:
    answer = await client.send(parcels_file(), query, **headers)
    assert answer.status_code == 200, answer.text
    version: str = answer.json()["version"]
    return version


async def metric(client: Client, line: str) -> bool:
    return line in (await client.http.get("/metrics")).text


def failing_canary(code: FailureCode = FailureCode.INTERNAL) -> Act:
    """A worker that labels with the champion alone."""

    async def act(request: PredictionRequest) -> PredictionReply | None:
        if request.version != "2":
            return labelled(request)
        return Failed(
            prediction_id=request.prediction_id,
            model=request.model,
            code=code,
            message="It cannot be loaded.",
            fingerprint=request.fingerprint,
        )

    return act


async def test_an_account_always_gets_the_same_version_and_both_get_some(
    client: Client, worker: Worker, settings: Settings, registry: RegistryServer
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    begin(registry, 50)
    await seen(client, 50)

    rounds = [
        [await version_of(client, account_id=f"A-{number}") for number in range(12)]
        for _ in range(2)
    ]

    assert rounds[0] == rounds[1]
    assert set(rounds[0]) == {"1", "2"}
    assert {request.alias for request in worker.seen if request.version is None} == {"champion"}


async def test_a_client_that_names_a_version_or_an_alias_never_meets_the_canary(
    client: Client, worker: Worker, settings: Settings, registry: RegistryServer
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    begin(registry, 100)
    await seen(client, 100)

    assert await version_of(client) == "2"
    assert await version_of(client, "?alias=champion") == "1"
    assert await version_of(client, "?version=1") == "1"


async def test_the_canarys_files_are_read_under_its_own_contract(
    client: Client, worker: Worker, settings: Settings, registry: RegistryServer
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    registry.contracts["2"] = CONTRACT.replace(
        "- {kind: category, column: carrier, min_count: 1, max_levels: 10}", ""
    )
    begin(registry, 100)
    await seen(client, 100)

    await version_of(client)

    (request,) = worker.seen
    assert set(json.loads(bytes(request.columns))) == {"weight"}
    assert request.contract == client.producer.catalogue.models["parcels"].versions["2"].digest


async def test_the_same_prediction_id_gives_the_same_answer_when_the_canary_has_begun_between(
    client: Client, worker: Worker, settings: Settings, registry: RegistryServer
) -> None:
    async def act(request: PredictionRequest) -> PredictionReply | None:
        await worker.keep(labelled(request))
        return labelled(request)

    await worker.start(settings.queue_prefix, act)
    identity = "123e4567-e89b-42d3-a456-426614174000"
    assert await version_of(client, prediction_id=identity) == "1"
    begin(registry, 100)
    await seen(client, 100)

    assert await version_of(client, prediction_id=identity) == "1"
    assert await version_of(client) == "2"


async def test_a_canary_that_fails_is_ended_here_at_once_and_in_the_registry(
    client: Client, worker: Worker, settings: Settings, registry: RegistryServer
) -> None:
    await worker.start(settings.queue_prefix, failing_canary())
    begin(registry, 100)
    await seen(client, 100)

    answers = await answered_until_the_champion_is_back(client)

    assert Counter(answer.status_code for answer in answers) == {502: 20, 200: 1}
    await until(lambda: RoutingTag.CANARY_STOPPED in registry.tags)
    stopped = msgspec.json.decode(registry.tags[RoutingTag.CANARY_STOPPED], type=CanaryStopped)
    assert (stopped.version, stopped.since, stopped.reason) == ("2", SINCE, "errors")
    assert "100.0% of 20" in stopped.found
    assert datetime.fromisoformat(stopped.at) <= datetime.now(UTC)
    assert await metric(
        client, 'carimbo_canary_stops_total{model="parcels",reason="errors",version="2"} 1.0'
    )
    await until(lambda: client.producer.catalogue.models["parcels"].canary is None)
    assert await version_of(client) == "1"


async def test_a_canary_is_ended_here_although_the_registry_is_away_and_there_once_it_is_back(
    client: Client, worker: Worker, settings: Settings
) -> None:
    registry = RegistryServer()
    client.producer.catalogue.registry._rest._base = registry.url
    await worker.start(settings.queue_prefix, failing_canary())
    begin(registry, 100)
    with registry.running():
        await seen(client, 100)

    answers = await answered_until_the_champion_is_back(client)

    assert answers[-1].json()["version"] == "1"
    assert RoutingTag.CANARY_STOPPED not in registry.tags
    with registry.running():
        await until(lambda: RoutingTag.CANARY_STOPPED in registry.tags)


async def test_a_canary_that_was_begun_anew_is_tried_again(
    client: Client, worker: Worker, settings: Settings, registry: RegistryServer
) -> None:
    await worker.start(settings.queue_prefix, failing_canary())
    begin(registry, 100)
    await seen(client, 100)
    await answered_until_the_champion_is_back(client)
    await until(lambda: RoutingTag.CANARY_STOPPED in registry.tags)

    begin(registry, 99, since="2026-02-02T00:00:00+00:00")
    await seen(client, 99)
    before = len(worker.seen)
    for number in range(5):
        await client.send(parcels_file(), account_id=f"A-{number}")

    assert "2" in {request.version for request in worker.seen[before:]}


async def test_failures_that_are_the_files_own_fault_end_no_canary(
    client: Client, worker: Worker, settings: Settings, registry: RegistryServer
) -> None:
    await worker.start(settings.queue_prefix, failing_canary(FailureCode.UNPROCESSABLE))
    begin(registry, 100)
    await seen(client, 100)

    for _ in range(25):
        assert (await client.send(parcels_file())).status_code == 422

    assert RoutingTag.CANARY_STOPPED not in registry.tags
    assert {request.version for request in worker.seen} == {"2"}


@pytest.mark.parametrize(
    "tag",
    [
        pytest.param("50 % of version 2", id="no JSON"),
        pytest.param('{"version": "2", "percent": 500, "since": ""}', id="more than all"),
        pytest.param('{"version": "99", "percent": 100, "since": ""}', id="no such version"),
    ],
)
async def test_a_tag_that_cannot_be_used_is_ignored_and_counted(
    tag: str, client: Client, worker: Worker, settings: Settings, registry: RegistryServer
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    registry.tags[RoutingTag.CANARY] = tag
    line = 'carimbo_routing_tags_ignored_total{model="parcels",tag="carimbo.canary"} 1.0'
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await metric(client, line):  # noqa: ASYNC110 - the look is the clock
            await asyncio.sleep(0.05)
    looks = len(registry.requests)
    await until(lambda: len(registry.requests) > looks + 6)  # some more looks at the same tag

    assert await version_of(client) == "1"
    assert await metric(client, line)


async def answered_until_the_champion_is_back(client: Client) -> list[httpx.Response]:
    answers: list[httpx.Response] = []
    while not answers or answers[-1].status_code != 200:
        answers.append(await client.send(parcels_file()))
        if len(answers) > 50:
            raise TransientError("still-the-canary", "It labels on after fifty failures.")
    return answers
