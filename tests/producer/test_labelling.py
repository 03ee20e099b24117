from __future__ import annotations

import asyncio
import gzip
import re
from uuid import uuid4

import msgspec
import pytest
from opentelemetry.sdk.trace import TracerProvider

from common.messages import Failed, FailureCode, PredictionReply, PredictionRequest
from producer.settings import Settings
from tests.producer.conftest import Client, serving
from tests.producer.parts import (
    BAD_ROW,
    GOOD_ROWS,
    MODEL,
    Worker,
    labelled,
    parcels_file,
    reply_at_once,
)

LINES = [(2, "speed-2"), (3, "speed-3"), (4, "speed-4")]


def rows(body: dict[str, list[dict[str, object]]]) -> list[tuple[object, object]]:
    return [(row["line"], row["label"]) for row in body["rows"]]


async def test_a_file_comes_back_with_a_label_a_row_and_every_bad_row_by_line(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    answer = await client.send(parcels_file(GOOD_ROWS[0], BAD_ROW, GOOD_ROWS[1]))
    body = answer.json()
    assert answer.status_code == 200
    assert (body["model"], body["version"]) == (MODEL, "1")
    assert body["counts"] == {"rows_read": 3, "labelled": 2, "rejected": 1}
    assert rows(body) == [(2, "speed-2"), (4, "speed-4")]
    assert [(v["line"], v["column"]) for v in body["violations"]] == [(3, "weight")]
    assert body["dialect"]["format"] == "delimited"
    assert body["id"] == answer.headers["prediction-id"]


async def test_the_stages_of_the_answer_add_up_to_its_total(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    timing = (await client.send(parcels_file())).headers["server-timing"]
    stages = {name: float(spent) for name, spent in re.findall(r"([\w-]+);dur=([\d.]+)", timing)}
    total = stages.pop("total")
    assert {"upload", "read", "encode", "queue", "features", "predict", "reply", "broker"} < {
        *stages
    }
    assert sum(stages.values()) == pytest.approx(total, abs=0.01)


async def test_only_the_columns_of_the_recipe_travel(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    await client.send(parcels_file())
    columns = msgspec.json.decode(worker.seen[0].columns)
    assert columns == {"weight": ["1.50", "2.75", "3.00"], "carrier": ["barge", "truck", "train"]}


async def test_however_a_file_is_sent_its_labels_are_the_same(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    path = f"/v1/models/{MODEL}/predictions"
    packed = gzip.compress(parcels_file())
    files = {"file": ("parcels.csv", parcels_file(), "text/csv")}
    answers = [
        await client.send(parcels_file(), content_type="text/csv"),
        await client.send(packed, content_type="text/csv", content_encoding="gzip"),
        await client.send(packed, content_disposition='attachment; filename="p.csv.gz"'),
        await client.http.post(path, files=files),
    ]
    assert [(a.status_code, rows(a.json())) for a in answers] == [(200, LINES)] * 4


async def test_strict_handling_refuses_the_whole_file_and_sends_nothing(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    answer = await client.send(parcels_file(*GOOD_ROWS, BAD_ROW), prefer="handling=strict")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/rows-rejected")
    assert [violation["line"] for violation in answer.json()["violations"]] == [5]
    good = await client.send(parcels_file(), prefer="handling=strict, wait=20")
    assert good.headers["preference-applied"] == "handling=strict, wait=20"
    assert len(worker.seen) == 1


async def test_with_every_reply_lost_the_stored_result_answers_within_the_wait(
    client: Client, worker: Worker, settings: Settings
) -> None:
    async def store_and_say_nothing(request: PredictionRequest) -> PredictionReply | None:
        await worker.keep(labelled(request))
        return None

    await worker.start(settings.queue_prefix, store_and_say_nothing)
    answer = await client.send(parcels_file(), prefer="wait=4")
    assert (answer.status_code, rows(answer.json())) == (200, LINES)


async def test_the_stored_answer_is_the_answer_that_was_given(
    client: Client, worker: Worker, settings: Settings
) -> None:
    async def store_and_reply(request: PredictionRequest) -> PredictionReply | None:
        await worker.keep(labelled(request))
        return labelled(request)

    await worker.start(settings.queue_prefix, store_and_reply)
    identity = str(uuid4())
    given = await client.send(parcels_file(GOOD_ROWS[0], BAD_ROW), prediction_id=identity)
    kept = await client.http.get(f"/v1/predictions/{identity}")
    assert given.content == kept.content
    assert not worker.seen[0].fresh_id


async def test_a_stored_result_of_another_file_never_answers_this_one(
    client: Client, worker: Worker, settings: Settings
) -> None:
    async def store_and_say_nothing(request: PredictionRequest) -> PredictionReply | None:
        await worker.keep(labelled(request))
        return None

    await worker.start(settings.queue_prefix, store_and_say_nothing)
    identity = str(uuid4())
    await client.send(parcels_file(), prediction_id=identity, prefer="wait=3")
    reused = await client.send(parcels_file(GOOD_ROWS[0]), prediction_id=identity, prefer="wait=2")
    assert (reused.status_code, reused.json()["type"]) == (409, "/problems/prediction-id-reused")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (FailureCode.CONTRACT_MISMATCH, 409),
        (FailureCode.EXPIRED, 504),
        (FailureCode.INTERNAL, 502),
        (FailureCode.UNKNOWN_VERSION, 404),
    ],
)
async def test_a_workers_failure_is_the_clients_problem(
    client: Client, worker: Worker, settings: Settings, code: FailureCode, status: int
) -> None:
    async def fail(request: PredictionRequest) -> PredictionReply | None:
        return Failed(
            prediction_id=request.prediction_id, model=MODEL, code=code, message="It did not work."
        )

    await worker.start(settings.queue_prefix, fail)
    answer = await client.send(parcels_file())
    assert (answer.status_code, answer.json()["detail"]) == (status, "It did not work.")


async def test_every_answer_is_its_own_callers_however_many_wait(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    files = [parcels_file(*GOOD_ROWS[:1] * count) for count in range(1, 31)]
    answers = await asyncio.gather(*(client.send(content) for content in files))
    assert [a.json()["counts"]["labelled"] for a in answers] == list(range(1, 31))
    assert len({a.headers["prediction-id"] for a in answers}) == 30


async def test_a_full_house_tells_the_next_caller_at_once_when_to_come_back(
    worker: Worker, settings: Settings, tracing: TracerProvider
) -> None:
    release = asyncio.Event()

    async def wait(request: PredictionRequest) -> PredictionReply | None:
        await release.wait()
        return labelled(request)

    async with serving(settings.model_copy(update={"max_in_flight": 1}), tracing) as client:
        await client.until_ready()
        await worker.start(settings.queue_prefix, wait)
        first = asyncio.create_task(client.send(parcels_file()))
        async with asyncio.timeout(20):
            while not worker.seen:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        refused = await client.send(parcels_file())
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        release.set()
        assert (await first).status_code == 200
        assert (await client.send(parcels_file())).status_code == 200
