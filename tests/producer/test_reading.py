from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from common.contracts import columns_type, contract_digest
from common.messages import PredictionId, PredictionRequest
from producer.catalogue import Selector, Served
from producer.large_files import LargeFiles
from producer.preferences import Handling
from producer.reading import INLINE_BYTES, Asked, FileReader, fingerprint, prepare
from producer.timing import Stopwatch
from producer.uploads import Upload
from tests.producer.parts import BAD_ROW, GOOD_ROWS, parcels_contract, parcels_file

CONTRACT = parcels_contract()
ASKED = Asked(
    PredictionId("1"),
    Served("parcels", "1", CONTRACT, contract_digest(CONTRACT)),
    Selector(alias="champion"),
    Handling.LENIENT,
    fresh_id=True,
)
UPLOAD = Upload(parcels_file(*GOOD_ROWS, BAD_ROW), "text/csv", None)


def test_what_is_sent_is_what_a_worker_decodes_strictly() -> None:
    request = prepare(UPLOAD, ASKED, Stopwatch())
    received = msgspec.json.decode(msgspec.json.encode(request), type=PredictionRequest)
    columns = msgspec.json.decode(received.columns, type=columns_type(CONTRACT))
    assert received.lines == [2, 3, 4]
    assert len(columns.weight) == 3  # type: ignore[attr-defined]  # made from the contract
    assert [violation.line for violation in received.violations] == [5]
    assert received.contract == ASKED.served.digest


def test_the_same_question_has_the_same_fingerprint_and_any_other_another() -> None:
    others = [
        (replace(UPLOAD, content=b"x"), ASKED),
        (replace(UPLOAD, media_type="application/json"), ASKED),
        (replace(UPLOAD, file_name="a.csv"), ASKED),
        (UPLOAD, replace(ASKED, handling=Handling.STRICT)),
        (UPLOAD, replace(ASKED, selector=Selector(version="1"))),
        (UPLOAD, replace(ASKED, selector=Selector(version="champion"))),
        (UPLOAD, replace(ASKED, served=replace(ASKED.served, model="letters"))),
    ]
    again = replace(ASKED, prediction_id=PredictionId("2"), fresh_id=False)
    assert fingerprint(UPLOAD, again) == fingerprint(UPLOAD, ASKED)
    found = {fingerprint(upload, asked) for upload, asked in [(UPLOAD, ASKED), *others]}
    assert len(found) == len(others) + 1


async def test_the_event_loop_goes_on_while_a_large_file_is_read() -> None:
    large = Upload(parcels_file(*GOOD_ROWS * 8_000), "text/csv", None)
    assert len(large.content) > INLINE_BYTES
    files = LargeFiles()
    reader = FileReader(files)
    with files.spool() as spool:
        reading = asyncio.create_task(reader.read(large, ASKED, Stopwatch(), spool))
        turns = 0
        while not reading.done():
            turns += 1
            await asyncio.sleep(0)
    reader.close()
    assert (await reading).request.rows_read == 24_000
    assert turns > 100


@pytest.mark.parametrize("rows", [1, 2_000])
async def test_small_and_large_files_are_charged_to_the_same_stages(rows: int) -> None:
    files, watch = LargeFiles(), Stopwatch()
    reader = FileReader(files)
    upload = Upload(parcels_file(*GOOD_ROWS * rows), "text/csv", None)
    with files.spool() as spool:
        await reader.read(upload, ASKED, watch, spool)
    reader.close()
    assert list(watch.stages) == ["read", "encode"]
