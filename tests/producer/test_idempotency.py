from __future__ import annotations

import asyncio
import hashlib
from uuid import uuid4

import httpx
import msgspec
import pytest

from common.messages import Failed, FailureCode, PredictionId, PredictionReply, PredictionRequest
from common.topology import idempotency_key
from producer import service
from producer.idempotency import KeyMeaning
from producer.settings import Settings
from tests.producer.conftest import Client
from tests.producer.parts import (
    GOOD_ROWS,
    MODEL,
    Worker,
    labelled,
    parcels_file,
    reply_at_once,
    store_and_reply,
)
from tests.producer.test_deliveries import until_seen
from tests.producer.test_http import problem


def is_replayed(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("idempotency-replayed") == "true")


async def test_the_same_key_and_file_is_the_same_prediction_and_done_once(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, store_and_reply(worker))
    key = str(uuid4())
    first = await client.send(parcels_file(), idempotency_key=key)
    second = await client.send(parcels_file(), idempotency_key=key)
    later = await client.send(parcels_file(), idempotency_key=key, prefer="respond-async")
    assert [a.status_code for a in (first, second, later)] == [200, 200, 200]
    assert [is_replayed(a) for a in (first, second, later)] == [False, True, True]
    assert first.content == second.content == later.content
    assert len({a.headers["prediction-id"] for a in (first, second, later)}) == 1
    assert len(worker.seen) == 1
    assert worker.seen[0].keep


async def test_the_same_key_at_the_same_time_is_one_prediction(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, store_and_reply(worker))
    key = str(uuid4())
    answers = await asyncio.gather(
        *(client.send(parcels_file(), idempotency_key=key) for _ in range(30))
    )
    assert {a.status_code for a in answers} == {200}
    assert len({a.content for a in answers}) == 1
    assert sum(not is_replayed(a) for a in answers) == 1
    assert len(worker.seen) == 1


async def test_a_repeated_request_joins_the_work_that_is_under_way(
    client: Client, worker: Worker, settings: Settings
) -> None:
    key = str(uuid4())
    first = await client.send(parcels_file(), idempotency_key=key, prefer="respond-async")
    joined = await client.send(parcels_file(), idempotency_key=key, prefer="wait=1")
    assert [a.status_code for a in (first, joined)] == [202, 202]
    assert first.headers["location"] == joined.headers["location"]
    waiting = asyncio.create_task(client.send(parcels_file(), idempotency_key=key))
    await worker.start(settings.queue_prefix, store_and_reply(worker))
    assert (await waiting).status_code == 200
    assert len(worker.seen) == 1


async def test_a_key_of_another_content_is_refused_and_nothing_is_sent(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    key = str(uuid4())
    await client.send(parcels_file(), idempotency_key=key)
    others = [
        await client.send(parcels_file(GOOD_ROWS[0]), idempotency_key=key),
        await client.send(parcels_file(), "?version=1", idempotency_key=key),
        await client.send(parcels_file(), "?callback_url=https://a.example/", idempotency_key=key),
        await client.send(parcels_file(), idempotency_key=key, prefer="handling=strict"),
    ]
    assert {(a.status_code, problem(a)) for a in others} == {(422, "idempotency-key-reused")}
    assert len(worker.seen) == 1


async def test_a_request_whose_replica_died_before_it_was_sent_is_sent_by_its_repetition(
    client: Client, worker: Worker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "UNSENT_AFTER_SECONDS", 0.2)
    key, lost = str(uuid4()), PredictionId(str(uuid4()))
    await worker.start(settings.queue_prefix, store_and_reply(worker))
    await client.send(parcels_file())  # tells the file's fingerprint
    meaning = KeyMeaning(prediction_id=lost, fingerprint=worker.seen[0].fingerprint)
    name = idempotency_key(hashlib.sha256(key.encode()).hexdigest())
    await worker.store.put_once(name, msgspec.json.encode(meaning), "application/json")

    answer = await client.send(parcels_file(), idempotency_key=key)
    assert (answer.status_code, answer.json()["id"]) == (200, lost)
    assert worker.seen[1].prediction_id == lost
    assert not worker.seen[1].fresh_id


async def test_a_replica_that_dies_while_its_caller_waits_leaves_the_promise_to_come_back_to(
    client: Client, worker: Worker, settings: Settings
) -> None:
    release = asyncio.Event()

    async def act(request: PredictionRequest) -> PredictionReply | None:
        await release.wait()
        await worker.keep(labelled(request))
        return None

    await worker.start(settings.queue_prefix, act)
    asking = asyncio.create_task(client.send(parcels_file(), idempotency_key="k"))
    await until_seen(worker)
    asking.cancel()
    await asyncio.wait({asking})
    identity = worker.seen[0].prediction_id
    assert (await client.http.get(f"/v1/predictions/{identity}")).status_code == 202
    release.set()
    assert (await client.http.get(f"/v1/predictions/{identity}?wait=20")).status_code == 200


async def test_a_failure_is_repeated_too_and_says_that_it_is_one(
    client: Client, worker: Worker, settings: Settings
) -> None:
    async def fail(request: PredictionRequest) -> PredictionReply | None:
        failed = Failed(
            prediction_id=request.prediction_id,
            model=MODEL,
            code=FailureCode.UNPROCESSABLE,
            message="It did not work.",
            fingerprint=request.fingerprint,
        )
        await worker.keep(failed)
        return failed

    await worker.start(settings.queue_prefix, fail)
    answers = [await client.send(parcels_file(), idempotency_key="k") for _ in range(2)]
    assert [(a.status_code, is_replayed(a)) for a in answers] == [(422, False), (422, True)]
    assert len(worker.seen) == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "two words", "caf\u00e9"])
async def test_a_key_that_cannot_be_one_is_refused(client: Client, key: str) -> None:
    path = f"/v1/models/{MODEL}/predictions"
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    answer = await client.http.post(path, content=parcels_file(), headers=headers)
    assert (answer.status_code, problem(answer)) == (400, "invalid-idempotency-key")
