from __future__ import annotations

import gzip
from contextlib import ExitStack

import msgspec
import pytest

from common.claims import Claims
from common.errors import PermanentError, TransientError
from common.messages import PredictionReply, PredictionRequest, Stored
from producer.large_files import LARGE_BYTES, MOST_HELD, LargeFiles
from producer.settings import Settings
from producer.uploads import UploadHeaders, read_upload
from tests.producer.conftest import Client
from tests.producer.parts import BAD_ROW, GOOD_ROWS, Act, Worker, labelled, parcels_file
from tests.producer.test_uploads import chunks

LARGE_FILE = parcels_file(*GOOD_ROWS * 60_000, BAD_ROW)
"""Above four mebibytes, with a bad row at its end."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_upload_bytes": len(LARGE_FILE), "max_rows": 200_000})


def work_on_claims(worker: Worker) -> Act:
    """What a real worker does with rows that are elsewhere, and a result that no reply carries."""

    async def act(request: PredictionRequest) -> PredictionReply | None:
        assert request.claim is not None
        table = await Claims(worker.store).redeem(request.claim)
        whole = msgspec.structs.replace(request, lines=table.lines, violations=table.violations)
        await worker.keep(labelled(whole))
        return Stored(prediction_id=request.prediction_id)  # type: ignore[return-value]

    return act


async def test_a_large_file_has_one_answer_on_every_path(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, work_on_claims(worker))
    waited = await client.send(LARGE_FILE, Content_Type="text/csv", Prefer="wait=60")
    assert waited.status_code == 200, waited.text[:500]
    answer = waited.json()
    assert answer["counts"] == {"rows_read": 180_001, "labelled": 180_000, "rejected": 1}
    assert answer["rows"][-1]["label"] == "speed-180001"
    assert [violation["line"] for violation in answer["violations"]] == [180_002]
    place = f"/v1/predictions/{waited.headers['prediction-id']}"
    fetched = await client.http.get(place)
    assert fetched.content == waited.content
    events = await client.http.get(place, headers={"accept": "text/event-stream"})
    assert b"event: result\nid: settled\ndata: " + waited.content + b"\n\n" in events.content
    assert [key.partition("/")[0] for key in await worker.objects()] == ["claims", "results"]


async def test_a_packed_file_that_turns_out_large_is_read_like_a_large_one(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, work_on_claims(worker))
    answer = await client.send(gzip.compress(LARGE_FILE), Prefer="wait=60")
    assert answer.json()["counts"]["rows_read"] == 180_001
    assert answer.json()["dialect"]["packing"] == "gzip"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (LARGE_FILE + b"\n", "too-large"),
        (gzip.compress(LARGE_FILE + b"\n"), "too-large-unpacked"),
        (parcels_file(*["2026-01-02,1.50,b,"] * 200_001), "too-many-rows"),
        (b"a,b\n" * (LARGE_BYTES // 4 + 1), "no-header"),
    ],
)
async def test_a_large_file_beyond_a_bound_is_refused_as_a_small_one_is(
    client: Client, content: bytes, code: str
) -> None:
    answer = await client.send(content, Content_Type="text/csv")
    assert answer.json()["type"].endswith(code), answer.text[:300]


async def test_a_large_file_with_bad_rows_is_refused_if_asked_to_be_strict(client: Client) -> None:
    answer = await client.send(LARGE_FILE, Content_Type="text/csv", Prefer="handling=strict")
    assert answer.json()["type"].endswith("rows-rejected")
    assert [violation["line"] for violation in answer.json()["violations"]] == [180_002]


@pytest.mark.parametrize(("size", "on_disk"), [(LARGE_BYTES, False), (LARGE_BYTES + 1, True)])
async def test_only_what_is_large_goes_to_disk(size: int, *, on_disk: bool) -> None:
    with LargeFiles().spool() as spool:
        upload = await read_upload(
            chunks(b"x" * size, 65_536), UploadHeaders(), max_bytes=size, spool=spool
        )
        assert (upload.file is not None) is on_disk
        if upload.file is not None:
            upload.file.seek(0)
            assert upload.file.read() == b"x" * size
        assert len(upload.content) == (0 if on_disk else size)


async def test_one_byte_too_many_is_refused_on_disk_too() -> None:
    with LargeFiles().spool() as spool, pytest.raises(PermanentError) as caught:
        await read_upload(
            chunks(b"x" * (LARGE_BYTES + 2), 65_536),
            UploadHeaders(),
            max_bytes=LARGE_BYTES + 1,
            spool=spool,
        )
    assert caught.value.code == "too-large"


def test_large_files_have_places_and_give_them_back() -> None:
    files = LargeFiles()
    with ExitStack() as held:
        for _ in range(MOST_HELD):
            spool = held.enter_context(files.spool())
            spool.file()
            spool.file()
        with files.spool() as last, pytest.raises(TransientError, match="come back"):
            last.file()
    with files.spool() as next_one:
        next_one.file()
