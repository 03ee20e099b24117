from __future__ import annotations

from uuid import uuid4

import pytest

from common.deadletters import ALL, DeadLetter, Selection, contents
from common.deadletters.letter import CRASHED, UNKNOWN
from common.faststream_sqs.subscriber.settlement import QueueSettlement
from common.sqs import Settler, ensure_queue
from common.topology import requests_queue
from tests.common.deadletters.conftest import MODEL, TRACE_ID, Cemetery, make_request


async def look(cemetery: Cemetery, selection: Selection = ALL) -> list[DeadLetter]:
    letters: list[DeadLetter] = []
    await cemetery.office.look(selection, letters.append)
    return letters


async def test_a_letter_that_a_worker_buried_tells_why_whence_and_which(cemetery: Cemetery) -> None:
    request = make_request()
    await cemetery.send(
        cemetery.source_url,
        request,
        headers={"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"},
    )
    (message,) = await cemetery.take(cemetery.source_url)
    settlement = QueueSettlement(
        settler=Settler(cemetery.sqs), sender=cemetery.sender, dead_letter_url=cemetery.dead_url
    )
    await settlement.bury(message, code="unprocessable", reason="No column fits.")

    (letter,) = await look(cemetery)

    assert letter.prediction_id == request.prediction_id
    assert (letter.code, letter.reason) == ("unprocessable", "No column fits.")
    assert letter.source == requests_queue(cemetery.prefix, MODEL)
    assert (letter.attempts, letter.redrives) == (1, 0)
    assert letter.trace_id == TRACE_ID


async def test_a_letter_that_sqs_moved_itself_is_told_by_its_arn(cemetery: Cemetery) -> None:
    request = make_request()
    await cemetery.send(cemetery.source_url, request)
    await cemetery.take(cemetery.source_url, visibility=0)  # received twice, one too many

    (letter,) = await look(cemetery)

    assert letter.code == CRASHED
    assert letter.source == requests_queue(cemetery.prefix, MODEL)
    assert letter.attempts is None
    assert letter.prediction_id == request.prediction_id


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe\x00", id="binary"),
        pytest.param(b"{}", id="no fields"),
        pytest.param(b'{"type":"other"}', id="another type"),
        pytest.param(b'{"x":' + b"[" * 50_000, id="nested without end"),
    ],
)
async def test_a_body_that_is_no_request_is_a_letter_under_the_messages_id(
    cemetery: Cemetery, body: bytes
) -> None:
    await cemetery.send(cemetery.dead_url, body)

    (letter,) = await look(cemetery)

    assert (letter.prediction_id, letter.code, letter.source) == ("", UNKNOWN, None)
    assert letter.name == letter.message.message_id
    assert contents(letter).body_bytes == len(body)
    assert contents(letter).rows is None


async def test_contents_are_told_in_numbers(cemetery: Cemetery) -> None:
    await cemetery.bury(make_request())

    (letter,) = await look(cemetery)

    size = contents(letter)
    assert (size.rows, size.rejected_rows, size.columns) == (2, 0, 2)


async def test_a_selection_is_by_id_by_code_or_by_the_time_of_burial(cemetery: Cemetery) -> None:
    first, second = make_request(), make_request()
    await cemetery.bury(first, code="internal")
    await cemetery.bury(second, code="unprocessable")
    (one, other) = sorted(await look(cemetery), key=lambda letter: letter.code)

    async def names(selection: Selection) -> set[str]:
        return {letter.name for letter in await look(cemetery, selection)}

    assert await names(Selection(ids=frozenset({first.prediction_id, "x"}))) == {one.name}
    assert await names(Selection(ids=frozenset({one.message.message_id}))) == {one.name}
    assert await names(Selection(codes=frozenset({"unprocessable"}))) == {other.name}
    assert await names(Selection(sent_from_ms=other.message.sent_ms + 60_000)) == set()
    assert await names(Selection(sent_from_ms=one.message.sent_ms)) >= {one.name}


async def test_the_office_tells_sqs_own_clock_and_counts(cemetery: Cemetery) -> None:
    await cemetery.bury(make_request())

    state = await cemetery.office.state()

    (letter,) = await look(cemetery)
    assert abs(state.now_ms - letter.message.sent_ms) < 60_000
    assert (state.visible, state.hidden) == (1, 0)


async def test_another_queues_letters_are_another_matter(cemetery: Cemetery) -> None:
    name = f"{cemetery.prefix}{uuid4().hex}"
    await cemetery.send(await ensure_queue(cemetery.sqs, name, visibility_seconds=30), b"{}")

    assert await look(cemetery) == []
