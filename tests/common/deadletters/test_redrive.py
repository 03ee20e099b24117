from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest

from common.deadletters import ALL, DeadLetter, DeadLetterOffice, Pace, Selection, StoredResult
from common.deadletters.letter import REASON_HEADERS, REDRIVE_PASS
from common.deadletters.redrive import judge
from common.faststream_sqs.subscriber.settlement import QueueSettlement
from common.messages import Accepted, Completed, Failed, PredictionRequest
from common.sqs import ReceivedMessage, Settler
from common.topology import promise_key
from tests.common.deadletters.conftest import (
    MODEL,
    TRACE_ID,
    Cemetery,
    bodies_of,
    failure,
    make_request,
)


def completed(request: PredictionRequest) -> Completed:
    return Completed(
        prediction_id=request.prediction_id,
        model=MODEL,
        version="1",
        fingerprint=request.fingerprint,
        rows_read=2,
        lines=[2, 3],
        labels=["a", "b"],
        confidences=[1.0, 1.0],
    )


def ids_of(messages: list[ReceivedMessage]) -> list[str]:
    return sorted(
        msgspec.json.decode(message.body, type=PredictionRequest).prediction_id
        for message in messages
    )


async def test_a_message_goes_back_as_it_came_but_wanted_and_without_its_reasons(
    cemetery: Cemetery,
) -> None:
    request = make_request()
    sent = msgspec.json.decode(msgspec.json.encode(request), type=dict[str, msgspec.Raw])
    sent["of_a_later_release"] = msgspec.Raw(b'{"kept":[1.50]}')
    await cemetery.bury(msgspec.json.encode(sent), reason="No column fits.")

    report = await cemetery.office.redrive(ALL)

    assert (report.seen, report.done, report.codes["internal"]) == (1, 1, 1)
    (message,) = await cemetery.take(cemetery.source_url)
    came = msgspec.json.decode(message.body, type=dict[str, msgspec.Raw])
    changed = {"keep": msgspec.Raw(b"true"), "fresh_id": msgspec.Raw(b"false")}
    assert came == {**sent, **changed}
    assert not message.headers.keys() & REASON_HEADERS
    assert message.headers["traceparent"] == f"00-{TRACE_ID}-b7ad6b7169203331-01"
    assert message.headers["budget_ms"] == "950"
    assert message.headers["redrives"] == "1"
    assert await cemetery.take(cemetery.dead_url) == []


@pytest.mark.parametrize(
    "body", [b"no request", b"\x00\xff", b'{"type":"other","keep":false}', b'{"x":' + b"[" * 50_000]
)
async def test_a_body_that_is_no_request_goes_back_byte_for_byte(
    cemetery: Cemetery, body: bytes
) -> None:
    await cemetery.bury(body)

    report = await cemetery.office.redrive(ALL)

    assert report.outcomes == {StoredResult.NONE: 1}
    assert bodies_of(await cemetery.take(cemetery.source_url)) == [body]


async def test_a_letter_without_a_word_goes_to_its_arn_or_else_to_the_models_queue(
    cemetery: Cemetery,
) -> None:
    moved, silent = make_request(), make_request()
    await cemetery.send(cemetery.source_url, moved)
    await cemetery.take(cemetery.source_url, visibility=0)
    await cemetery.send(cemetery.dead_url, silent)

    await cemetery.office.redrive(ALL)

    back = await cemetery.take(cemetery.source_url)
    assert ids_of(back) == sorted([moved.prediction_id, silent.prediction_id])


async def test_only_a_failure_makes_way(cemetery: Cemetery) -> None:
    failed, cancelled, answered, unknown = (make_request() for _ in range(4))
    await cemetery.keep(failure(failed))
    await cemetery.keep(failure(cancelled, "cancelled"))
    await cemetery.keep(completed(answered))
    await cemetery.bury(failed, cancelled, answered, unknown)

    report = await cemetery.office.redrive(ALL)

    assert report.outcomes == {
        StoredResult.REPLACEABLE: 1,
        StoredResult.KEPT: 2,
        StoredResult.NONE: 1,
    }
    assert await cemetery.kept(failed.prediction_id) is None
    assert await cemetery.kept(cancelled.prediction_id) is not None
    assert await cemetery.kept(answered.prediction_id) is not None
    assert len(await cemetery.take(cemetery.source_url)) == 4


async def test_who_asks_before_the_result_is_told_that_it_is_under_way(cemetery: Cemetery) -> None:
    request = make_request()
    await cemetery.keep(failure(request))
    await cemetery.bury(request)

    await cemetery.office.redrive(ALL)

    promised = await cemetery.store.get(promise_key(request.prediction_id))
    assert promised is not None
    accepted = msgspec.json.decode(promised, type=Accepted)
    assert (accepted.prediction_id, accepted.fingerprint) == (
        request.prediction_id,
        request.fingerprint,
    )


@pytest.mark.parametrize(
    ("stored", "judged"),
    [
        pytest.param(None, StoredResult.NONE, id="nothing"),
        pytest.param(failure(make_request()), StoredResult.REPLACEABLE, id="a failure"),
        pytest.param(
            failure(make_request(), fingerprint=""), StoredResult.REPLACEABLE, id="of any file"
        ),
        pytest.param(failure(make_request(), "cancelled"), StoredResult.KEPT, id="cancelled"),
        pytest.param(
            failure(make_request(), fingerprint="other"), StoredResult.KEPT, id="another file's"
        ),
        pytest.param(completed(make_request()), StoredResult.KEPT, id="labels"),
        pytest.param({"outcome": "of a later release"}, StoredResult.KEPT, id="later release"),
    ],
)
def test_a_stored_result_is_judged(
    stored: Failed | Completed | dict[str, str] | None, judged: StoredResult
) -> None:
    content = None if stored is None else msgspec.json.encode(stored)

    assert judge(content, "f" * 64) is judged


async def state_of(cemetery: Cemetery, request: PredictionRequest) -> tuple[object, ...]:
    letters: list[DeadLetter] = []
    await cemetery.office.look(ALL, letters.append)
    buried = sorted((each.message.message_id, each.message.body) for each in letters)
    headers = sorted(str(sorted(each.message.headers.items())) for each in letters)
    sent = await cemetery.visible(cemetery.source_url)
    return buried, headers, sent, await cemetery.kept(request.prediction_id)


@pytest.mark.parametrize("act", ["redrive", "purge"])
async def test_a_dry_run_changes_nothing(cemetery: Cemetery, act: str) -> None:
    request = make_request()
    await cemetery.keep(failure(request))
    await cemetery.bury(request, *(make_request() for _ in range(11)))
    before = await state_of(cemetery, request)
    office = cemetery.office
    run = office.redrive if act == "redrive" else office.purge

    report = await run(ALL, is_dry=True)

    assert report.done == 12
    assert await cemetery.visible(cemetery.dead_url) == 12
    assert await state_of(cemetery, request) == before


async def test_a_dry_run_says_what_the_redrive_then_does(cemetery: Cemetery) -> None:
    failed, orphan = make_request(), make_request()
    await cemetery.keep(failure(failed))
    await cemetery.bury(failed)
    await cemetery.bury(orphan, source="a-queue-that-is-gone")

    dry = await cemetery.office.redrive(ALL, is_dry=True)
    wet = await cemetery.office.redrive(ALL)

    assert dry == wet
    assert dry.outcomes == {StoredResult.REPLACEABLE: 1}
    assert dry.failures["queue-gone"].count == 1


async def test_what_is_not_meant_stays(cemetery: Cemetery) -> None:
    meant, other = make_request(), make_request()
    await cemetery.bury(meant, code="unprocessable")
    await cemetery.bury(other, code="internal")

    report = await cemetery.office.redrive(Selection(codes=frozenset({"unprocessable"})))

    assert (report.seen, report.done) == (2, 1)
    assert ids_of(await cemetery.take(cemetery.source_url)) == [meant.prediction_id]
    assert ids_of(await cemetery.take(cemetery.dead_url)) == [other.prediction_id]


async def test_a_letter_whose_queue_is_gone_stays_with_its_failure(cemetery: Cemetery) -> None:
    request = make_request()
    await cemetery.keep(failure(request))
    await cemetery.bury(request, source="a-queue-that-is-gone")

    report = await cemetery.office.redrive(ALL)

    assert (report.done, report.stopped_by) == (0, None)
    assert await cemetery.kept(request.prediction_id) is not None
    assert ids_of(await cemetery.take(cemetery.dead_url)) == [request.prediction_id]


class CutClient:
    """The real client, except that one operation finds its connection cut every time."""

    def __init__(self, client: Any, operation: str) -> None:
        self._client = client
        self._operation = operation

    def __getattr__(self, name: str) -> Any:
        return self._fail if name == self._operation else getattr(self._client, name)

    async def _fail(self, **_: object) -> None:
        raise ConnectionResetError


def office_without(cemetery: Cemetery, operation: str) -> DeadLetterOffice:
    client: Any = CutClient(cemetery.sqs, operation)
    return DeadLetterOffice(
        receiver=cemetery.receiver,
        client=client,
        store=cemetery.store,
        queue_url=cemetery.dead_url,
        default_source="",
    )


async def test_when_the_send_fails_the_letter_stays_and_its_failure_too(cemetery: Cemetery) -> None:
    request = make_request()
    await cemetery.keep(failure(request))
    await cemetery.bury(request)

    report = await office_without(cemetery, "send_message_batch").redrive(ALL)

    assert report.stopped_by is not None
    assert report.done == 0
    assert await cemetery.kept(request.prediction_id) is not None
    assert ids_of(await cemetery.take(cemetery.dead_url)) == [request.prediction_id]


async def test_when_the_deletion_fails_there_are_two_and_never_none(cemetery: Cemetery) -> None:
    request = make_request()
    await cemetery.bury(request)

    report = await office_without(cemetery, "delete_message_batch").redrive(ALL)

    assert report.stopped_by is not None
    assert ids_of(await cemetery.take(cemetery.source_url)) == [request.prediction_id]
    assert ids_of(await cemetery.take(cemetery.dead_url)) == [request.prediction_id]


async def test_a_cancelled_redrive_ends_what_it_began_and_gives_the_rest_back(
    cemetery: Cemetery,
) -> None:
    requests = [make_request() for _ in range(30)]
    await cemetery.bury(*requests)
    is_under_way = asyncio.Event()

    redriving = asyncio.create_task(
        cemetery.office.redrive(ALL, pace=Pace(20), on_progress=lambda _: is_under_way.set())
    )
    await is_under_way.wait()
    redriving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await redriving

    assert await cemetery.hidden(cemetery.dead_url) == 0
    back = ids_of(await cemetery.take(cemetery.source_url))
    stay = ids_of(await cemetery.take(cemetery.dead_url))
    assert back
    assert stay
    assert sorted(back + stay) == sorted(request.prediction_id for request in requests)


async def test_a_cancellation_in_the_middle_of_an_act_waits_for_its_end(cemetery: Cemetery) -> None:
    class Cancelling:
        def __getattr__(self, name: str) -> Any:
            return getattr(cemetery.sqs, name)

        async def send_message_batch(self, **request: Any) -> Any:
            redriving.cancel()
            return await cemetery.sqs.send_message_batch(**request)

    await cemetery.bury(*(make_request() for _ in range(3)))
    client: Any = Cancelling()
    office = DeadLetterOffice(
        receiver=cemetery.receiver,
        client=client,
        store=cemetery.store,
        queue_url=cemetery.dead_url,
        default_source="",
    )

    redriving = asyncio.create_task(office.redrive(ALL))
    with pytest.raises(asyncio.CancelledError):
        await redriving

    back = await cemetery.visible(cemetery.source_url)
    assert back
    assert back + await cemetery.visible(cemetery.dead_url) == 3  # neither lost nor doubled


async def test_a_thousand_letters_go_back_each_once(cemetery: Cemetery) -> None:
    requests = [make_request() for _ in range(1_000)]
    await cemetery.bury(*requests)

    report = await cemetery.office.redrive(ALL)

    assert (report.seen, report.done, report.failures) == (1_000, 1_000, {})
    back = ids_of(await cemetery.take(cemetery.source_url))
    assert back == sorted(request.prediction_id for request in requests)
    assert await cemetery.visible(cemetery.dead_url) == 0
    assert await cemetery.hidden(cemetery.dead_url) == 0


async def test_what_is_buried_anew_meanwhile_is_not_sent_back_again(cemetery: Cemetery) -> None:
    requests = [make_request() for _ in range(10)]
    await cemetery.bury(*requests)
    settlement = QueueSettlement(
        settler=Settler(cemetery.sqs), sender=cemetery.sender, dead_letter_url=cemetery.dead_url
    )
    seen_by_worker: list[ReceivedMessage] = []

    async def bury_everything() -> None:
        while len(seen_by_worker) < 10:
            for message in await cemetery.receive(cemetery.source_url):
                seen_by_worker.append(message)
                await settlement.bury(message, code="internal", reason="It broke again.")

    worker = asyncio.create_task(bury_everything())
    report = await cemetery.office.redrive(ALL, pace=Pace(5))
    async with asyncio.timeout(20):
        await worker

    assert (report.seen, report.done) == (10, 10)
    assert report.came_back
    assert {message.headers[REDRIVE_PASS] for message in seen_by_worker}
    buried = await cemetery.take(cemetery.dead_url)
    assert ids_of(buried) == sorted(request.prediction_id for request in requests)
    assert {message.headers["redrives"] for message in buried} == {"1"}


async def test_a_second_redrive_counts_on(cemetery: Cemetery) -> None:
    await cemetery.bury(make_request())
    await cemetery.office.redrive(ALL)
    (message,) = await cemetery.take(cemetery.source_url)
    settlement = QueueSettlement(
        settler=Settler(cemetery.sqs), sender=cemetery.sender, dead_letter_url=cemetery.dead_url
    )
    await settlement.bury(message, code="internal", reason="It broke again.")

    report = await cemetery.office.redrive(ALL)

    assert report.done == 1
    (again,) = await cemetery.take(cemetery.source_url)
    assert again.headers["redrives"] == "2"


async def test_a_purge_deletes_what_is_meant_and_leaves_results(cemetery: Cemetery) -> None:
    meant, other = make_request(), make_request()
    await cemetery.keep(failure(meant))
    await cemetery.bury(meant, other)

    report = await cemetery.office.purge(Selection(ids=frozenset({meant.prediction_id})))

    assert (report.done, report.found) == (1, {meant.prediction_id})
    assert ids_of(await cemetery.take(cemetery.dead_url)) == [other.prediction_id]
    assert await cemetery.visible(cemetery.source_url) == 0
    assert await cemetery.kept(meant.prediction_id) is not None


@pytest.mark.parametrize(("per_second", "step"), [(None, 10), (0.5, 1), (25, 2), (10_000, 10)])
def test_a_high_rate_goes_in_steps(per_second: float | None, step: int) -> None:
    assert Pace(per_second).step == step


async def test_a_rate_is_a_ceiling(cemetery: Cemetery) -> None:
    await cemetery.bury(*(make_request() for _ in range(6)))
    began = time.monotonic()

    report = await cemetery.office.redrive(ALL, pace=Pace(4))

    assert report.done == 6
    assert time.monotonic() - began >= 5 / 4  # never faster; how much slower is the machine's
