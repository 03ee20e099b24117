from __future__ import annotations

import asyncio
import socket
from uuid import uuid4

import httpx
import msgspec
import pytest
from opentelemetry.sdk.trace import TracerProvider

from common.aws import aws_client
from common.errors import TransientError
from common.faststream_sqs import SQSBroker
from common.messages import (
    Failed,
    FailureCode,
    Lapsed,
    PredictionId,
    PredictionReply,
    PredictionRequest,
)
from common.objects import ObjectStore
from common.sqs import sending_client
from common.topology import CLAIM_DAYS, promise_key, requests_queue
from producer import stored
from producer.dispatch import Dispatch
from producer.following import Followers
from producer.queues import RequestQueues
from producer.records import Pending, Records
from producer.settings import Settings
from tests.producer.conftest import PATIENCE_SECONDS, Client, serving
from tests.producer.parts import (
    MODEL,
    Worker,
    parcels_file,
    reply_at_once,
    store_and_reply,
)
from tests.producer.test_http import problem

LATER = "respond-async"
EVENTS = {"accept": "text/event-stream"}


def path_of(answer: httpx.Response) -> str:
    """Where the result of a 202 will be, told in three ways that must agree."""
    body = answer.json()
    assert answer.status_code == 202
    assert body["status"] == "pending"
    assert int(answer.headers["retry-after"]) >= 1
    assert body["id"] == answer.headers["prediction-id"]
    assert answer.headers["location"] == body["links"]["self"] == f"/v1/predictions/{body['id']}"
    location: str = body["links"]["self"]
    return location


async def until_seen(worker: Worker, count: int = 1) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(worker.seen) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_client_that_does_not_wait_comes_back_for_its_labels(
    client: Client, worker: Worker, settings: Settings
) -> None:
    sent = await client.send(parcels_file(), prefer=LATER)
    place = path_of(sent)
    assert sent.headers["preference-applied"] == LATER
    assert path_of(await client.http.get(place)) == place

    await worker.start(settings.queue_prefix, store_and_reply(worker))
    done = await client.http.get(f"{place}?wait=20")
    assert done.status_code == 200
    assert worker.seen[0].keep
    assert (await client.http.get(place)).content == done.content


async def test_a_client_may_wait_a_little_before_it_comes_back(
    client: Client, worker: Worker, settings: Settings
) -> None:
    path_of(await client.send(parcels_file(), prefer=f"{LATER}, wait=1"))
    await worker.start(settings.queue_prefix, store_and_reply(worker))
    answer = await client.send(parcels_file(), prefer=f"{LATER}, wait=20")
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == f"{LATER}, wait=20"


async def test_a_wait_that_runs_out_becomes_a_202_of_the_same_prediction(
    client: Client, worker: Worker, settings: Settings
) -> None:
    late = await client.send(parcels_file(), prefer="wait=1")
    place = path_of(late)
    assert late.headers["preference-applied"] == "wait=1"
    assert not (await client.http.get(place)).is_error
    await worker.start(settings.queue_prefix, store_and_reply(worker))
    found = await client.http.get(f"{place}?wait=20")
    assert found.status_code == 200
    assert found.json()["id"] == late.headers["prediction-id"]


async def test_work_that_a_worker_gave_up_first_is_never_promised(
    client: Client, worker: Worker, settings: Settings
) -> None:
    async def lapse(request: PredictionRequest) -> PredictionReply | None:
        lapsed = Lapsed(
            prediction_id=request.prediction_id, model=MODEL, fingerprint=request.fingerprint
        )
        key = promise_key(request.prediction_id)
        await worker.store.put_once(key, msgspec.json.encode(lapsed), "application/json")
        return None

    await worker.start(settings.queue_prefix, lapse)
    late = await client.send(parcels_file(), prefer="wait=2")
    assert (late.status_code, problem(late)) == (504, "expired")
    again = await client.http.get(f"/v1/predictions/{late.headers['prediction-id']}")
    assert (again.status_code, problem(again)) == (504, "expired")


async def test_what_the_queue_did_not_take_is_never_promised(
    client: Client, settings: Settings
) -> None:
    async with sending_client(connections=1) as sqs:
        name = requests_queue(settings.queue_prefix, MODEL)
        await sqs.delete_queue(QueueUrl=(await sqs.get_queue_url(QueueName=name))["QueueUrl"])
    identity = str(uuid4())
    refused = await client.send(parcels_file(), prefer=LATER, prediction_id=identity)
    assert (refused.status_code, problem(refused)) == (503, "unavailable")
    missing = await client.http.get(f"/v1/predictions/{identity}")
    assert (missing.status_code, problem(missing)) == (404, "unknown-prediction")


async def test_a_wait_that_runs_out_before_the_queue_has_the_file_is_an_error(
    aws_environment: dict[str, str], queue_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert aws_environment
    deaf = socket.create_server(("127.0.0.1", 0))  # connects, and never answers
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{deaf.getsockname()[1]}")
    request = request_of()
    async with (
        aws_client("s3", connections=1) as s3,
        sending_client(connections=1) as sqs,
    ):
        broker = SQSBroker(reply_prefix=queue_prefix)
        await broker.connect()
        records = Records(ObjectStore(s3, "carimbo"))
        queues = RequestQueues(sqs, queue_prefix)
        dispatch = Dispatch(broker, records, queues, queue_prefix)
        with pytest.raises(TransientError):
            await dispatch.ask(request, 0.2, sent=lambda: None)
        await broker.stop()
    deaf.close()


def request_of() -> PredictionRequest:
    return PredictionRequest(
        prediction_id=PredictionId(str(uuid4())),
        model=MODEL,
        lines=[],
        columns=msgspec.Raw(b"{}"),
        fingerprint="f",
        contract="c",
        rows_read=0,
    )


async def test_a_caller_that_waits_leaves_nothing_in_the_store_but_its_result(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    assert (await client.send(parcels_file())).status_code == 200
    assert await worker.objects() == []
    assert not worker.seen[0].keep


async def test_a_long_poll_ends_with_the_result_of_whoever_else_was_answered_202(
    client: Client, worker: Worker, settings: Settings
) -> None:
    """The reply wakes the poll; what it says is read from the store."""
    release = asyncio.Event()

    async def act(request: PredictionRequest) -> PredictionReply | None:
        await release.wait()
        return await store_and_reply(worker)(request)

    await worker.start(settings.queue_prefix, act)
    place = path_of(await client.send(parcels_file(), prefer="wait=1"))
    polls = [asyncio.create_task(client.http.get(f"{place}?wait=30")) for _ in range(3)]
    await asyncio.sleep(0.1)
    release.set()
    answers = await asyncio.gather(*polls)
    assert [answer.status_code for answer in answers] == [200] * 3


async def test_a_reply_never_contradicts_what_is_stored(
    client: Client, worker: Worker, settings: Settings
) -> None:
    release = asyncio.Event()

    async def act(request: PredictionRequest) -> PredictionReply | None:
        await release.wait()
        return await store_and_reply(worker)(request)

    await worker.start(settings.queue_prefix, act)
    place = path_of(await client.send(parcels_file(), prefer="wait=1"))
    assert (await client.http.delete(place)).status_code == 204
    release.set()
    told = [await client.http.get(f"{place}?wait=1") for _ in range(3)]
    assert {(answer.status_code, problem(answer)) for answer in told} == {(410, "cancelled")}


async def test_a_long_poll_that_finds_nothing_in_its_time_answers_202(client: Client) -> None:
    place = path_of(await client.send(parcels_file(), prefer=LATER))
    assert path_of(await client.http.get(f"{place}?wait=1")) == place
    assert (await client.http.get(f"{place}?wait=soon")).status_code == 400


async def test_more_long_polls_than_the_replica_takes_are_answered_at_once(
    client: Client, worker: Worker, settings: Settings
) -> None:
    place = path_of(await client.send(parcels_file(), prefer=LATER))
    identity = PredictionId(place.rpartition("/")[2])
    async with sending_client(connections=1) as sqs:
        records = Records(worker.store)
        queues = RequestQueues(sqs, settings.queue_prefix)
        dispatch = Dispatch(worker.broker, records, queues, settings.queue_prefix)
        nobody = Followers(records, dispatch, most=0, is_leaving=lambda: False)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await nobody.settled(identity, 3600) == Pending(identity, MODEL)


async def test_a_stop_ends_long_polls_and_streams_at_once(client: Client) -> None:
    place = path_of(await client.send(parcels_file(), prefer=LATER))
    poll = asyncio.create_task(client.http.get(f"{place}?wait=60"))
    stream = asyncio.create_task(client.http.get(place, headers=EVENTS))
    await asyncio.sleep(0.2)
    client.producer.stopping = True
    async with asyncio.timeout(20):
        path_of(await poll)
        assert (await stream).status_code == 200


async def test_a_prediction_that_fails_says_so_under_its_address(
    client: Client, worker: Worker, settings: Settings
) -> None:
    async def fail(request: PredictionRequest) -> PredictionReply | None:
        await worker.keep(
            Failed(
                prediction_id=request.prediction_id,
                model=MODEL,
                code=FailureCode.ATTEMPTS_EXHAUSTED,
                message="It did not work.",
                fingerprint=request.fingerprint,
            )
        )
        return None

    await worker.start(settings.queue_prefix, fail)
    place = path_of(await client.send(parcels_file(), prefer=LATER))
    answer = await client.http.get(f"{place}?wait=20")
    assert (answer.status_code, problem(answer)) == (502, "attempts-exhausted")
    assert answer.json()["detail"] == "It did not work."


async def test_a_cancelled_prediction_stays_cancelled_whatever_comes_later(
    client: Client, worker: Worker, settings: Settings
) -> None:
    place = path_of(await client.send(parcels_file(), prefer=LATER))
    assert [(await client.http.delete(place)).status_code for _ in range(2)] == [204, 204]
    await worker.start(settings.queue_prefix, store_and_reply(worker))
    await until_seen(worker)
    answer = await client.http.get(place)
    assert (answer.status_code, problem(answer)) == (410, "cancelled")


async def test_what_has_a_result_cannot_be_cancelled(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, store_and_reply(worker))
    later = path_of(await client.send(parcels_file(), prefer=LATER))
    done = await client.http.get(f"{later}?wait=20")
    now = await client.send(parcels_file())
    for place in (later, f"/v1/predictions/{now.headers['prediction-id']}"):
        refused = await client.http.delete(place)
        assert (refused.status_code, problem(refused)) == (409, "already-settled")
    assert (await client.http.get(later)).content == done.content


async def test_what_was_never_issued_can_be_neither_read_nor_cancelled(client: Client) -> None:
    for name in (str(uuid4()), "seven"):
        place = f"/v1/predictions/{name}"
        answers = [
            await client.http.get(f"{place}?wait=5"),
            await client.http.get(place, headers=EVENTS),
            await client.http.delete(place),
        ]
        assert {problem(answer) for answer in answers} == {"unknown-prediction"}


async def test_an_id_that_was_promised_for_another_file_is_refused(
    client: Client, worker: Worker, settings: Settings
) -> None:
    identity = str(uuid4())
    first = await client.send(parcels_file(), prefer=LATER, prediction_id=identity)
    other = await client.send(
        parcels_file("2026-01-02,9,truck,x"), prediction_id=identity, prefer=LATER
    )
    assert (other.status_code, problem(other)) == (409, "prediction-id-reused")
    await worker.start(settings.queue_prefix, store_and_reply(worker))
    await client.http.get(f"{path_of(first)}?wait=20")
    late = await client.send(parcels_file(), prefer=LATER, prediction_id=identity)
    assert late.status_code == 200
    assert [request.prediction_id for request in worker.seen] == [identity]


async def test_an_id_whose_result_is_of_another_file_is_refused(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, store_and_reply(worker))
    identity = str(uuid4())
    first = await client.send(parcels_file(), prediction_id=identity)
    other = await client.send(
        parcels_file("2026-01-02,9,truck,x"), prediction_id=identity, prefer=LATER
    )
    assert (other.status_code, problem(other)) == (409, "prediction-id-reused")
    assert (await client.http.get(f"/v1/predictions/{identity}")).content == first.content


async def test_events_tell_the_state_at_once_and_then_the_result(
    client: Client, worker: Worker, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "BEAT_SECONDS", 0.1)
    place = path_of(await client.send(parcels_file(), prefer=LATER))
    stream = asyncio.create_task(client.http.get(place, headers=EVENTS))
    await asyncio.sleep(0.5)
    await worker.start(settings.queue_prefix, store_and_reply(worker))
    answer = await stream
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = answer.text.strip().split("\n\n")
    assert blocks[0].startswith("retry: ")
    assert blocks[1].startswith("event: status\ndata: ")
    assert set(blocks[2:-1]) == {": still pending"}
    name, identity, data = blocks[-1].split("\n")
    assert (name, identity) == ("event: result", "id: settled")
    done = await client.http.get(place)
    assert data.removeprefix("data: ") == done.text
    back = await client.http.get(place, headers={**EVENTS, "last-event-id": "settled"})
    assert (back.status_code, back.content) == (204, b"")


async def test_events_of_a_prediction_that_failed_end_with_its_problem(client: Client) -> None:
    place = path_of(await client.send(parcels_file(), prefer=LATER))
    await client.http.delete(place)
    (_, last) = (await client.http.get(place, headers=EVENTS)).text.strip().split("\n\n")
    name, _, data = last.split("\n")
    assert name == "event: problem"
    assert msgspec.json.decode(data.removeprefix("data: "))["type"] == "/problems/cancelled"


async def test_a_stream_is_bounded_in_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "STREAM_SECONDS", 0.3)
    place = path_of(await client.send(parcels_file(), prefer=LATER))
    async with asyncio.timeout(20):
        told = (await client.http.get(place, headers=EVENTS)).text
    assert "event: status" in told
    assert "settled" not in told


async def test_a_callback_travels_with_the_request_which_is_then_done_in_any_case(
    worker: Worker, settings: Settings, tracing: TracerProvider
) -> None:
    url = "http://receiver.internal:8080/labels?a=1"
    allowing = settings.model_copy(update={"callback_allow": ("receiver.internal",)})
    async with serving(allowing, tracing) as client:
        await client.until_ready()
        await worker.start(settings.queue_prefix, store_and_reply(worker))
        answer = await client.send(parcels_file(), f"?{httpx.QueryParams({'callback_url': url})}")
        assert answer.status_code == 200
        await until_seen(worker)
    assert worker.seen[0].keep
    assert worker.seen[0].callback_url == url


async def test_a_callback_that_must_not_be_called_is_refused_and_nothing_is_sent(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    for url in ("http://example.com/", "https://169.254.169.254/latest", "https://localhost/x"):
        refused = await client.send(parcels_file(), f"?callback_url={url}")
        assert (refused.status_code, problem(refused)) == (422, "callback-refused")
    assert (await client.send(parcels_file())).status_code == 200
    assert len(worker.seen) == 1


async def test_results_are_kept_for_the_time_that_is_configured(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await client.until_ready()
    found = await worker.store._client.get_bucket_lifecycle_configuration(Bucket=settings.bucket)
    kept = {rule["Filter"]["Prefix"]: rule["Expiration"]["Days"] for rule in found["Rules"]}
    prefixes = ("results/", "accepted/", "idempotency/", "callbacks/", "shadows/")
    assert kept == {**dict.fromkeys(prefixes, settings.keep_results), "claims/": CLAIM_DAYS}
