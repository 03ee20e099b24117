from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from common.errors import PermanentError
from producer.large_files import Spool
from producer.uploads import Upload, UploadHeaders, read_upload

SPOOL = Spool(lambda _: pytest.fail("a small file went to disk"))
CONTENT = b"date;amount\n01.02.2026;1,50\n" * 20


async def chunks(content: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]
    yield b""


def form(*parts: tuple[str, tuple[str | None, bytes, str]]) -> tuple[bytes, UploadHeaders]:
    request = httpx.Request("POST", "http://example.org", files=list(parts))
    return request.read(), UploadHeaders(content_type=request.headers["content-type"])


async def refusal(content: bytes, headers: UploadHeaders, max_bytes: int = 10_000) -> str:
    with pytest.raises(PermanentError) as caught:
        await read_upload(chunks(content), headers, max_bytes=max_bytes, spool=SPOOL)
    return caught.value.code


async def test_a_raw_body_keeps_its_media_type_and_its_file_name() -> None:
    headers = UploadHeaders(
        content_type="text/csv; charset=latin1",
        content_disposition="attachment; filename*=UTF-8''cart%C3%B5es.csv",
    )
    upload = await read_upload(chunks(CONTENT), headers, max_bytes=10_000, spool=SPOOL)
    assert upload == Upload(CONTENT, "text/csv; charset=latin1", "cartões.csv")


@pytest.mark.parametrize("size", [1, 3, 64, 100_000])
async def test_a_form_gives_its_first_file_wherever_its_bytes_are_cut(size: int) -> None:
    body, headers = form(
        ("comment", (None, b"not a file", "text/plain")),
        ("data", ("a.csv", CONTENT, "text/csv")),
        ("other", ("b.csv", b"another", "text/csv")),
    )
    upload = await read_upload(chunks(body, size), headers, max_bytes=10_000, spool=SPOOL)
    assert upload == Upload(CONTENT, "text/csv", "a.csv")


async def test_a_part_named_file_needs_no_file_name() -> None:
    body, headers = form(("file", (None, CONTENT, "text/csv")))
    upload = await read_upload(chunks(body), headers, max_bytes=10_000, spool=SPOOL)
    assert upload.content == CONTENT


async def test_a_form_without_a_file_is_refused() -> None:
    body, headers = form(("comment", (None, b"not a file", "text/plain")))
    assert await refusal(body, headers) == "malformed-upload"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (CONTENT, "multipart/form-data"),
        (CONTENT, "multipart/form-data; boundary=x"),
        (
            b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\ncut",
            "multipart/form-data; boundary=x",
        ),
        (b"", "multipart/form-data; boundary=x"),
    ],
)
async def test_a_form_that_is_none_is_refused(body: bytes, content_type: str) -> None:
    assert await refusal(body, UploadHeaders(content_type=content_type)) == "malformed-upload"


async def test_a_body_of_exactly_the_bound_passes() -> None:
    upload = await read_upload(
        chunks(CONTENT), UploadHeaders(), max_bytes=len(CONTENT), spool=SPOOL
    )
    assert upload.content == CONTENT


async def test_one_byte_more_than_the_bound_is_refused() -> None:
    assert await refusal(CONTENT, UploadHeaders(), len(CONTENT) - 1) == "too-large"


async def test_a_form_counts_whole_against_the_bound() -> None:
    body, headers = form(("file", ("a.csv", CONTENT, "text/csv")))
    assert await refusal(body, headers, len(body) - 1) == "too-large"


async def test_reading_stops_at_the_bound() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1000
            yield b"x" * 1000

    with pytest.raises(PermanentError):
        await read_upload(endless(), UploadHeaders(), max_bytes=5000, spool=SPOOL)
    assert taken == 6000


async def test_a_declared_length_beyond_the_bound_is_refused_before_a_byte_is_read() -> None:
    async def untouchable() -> AsyncIterator[bytes]:
        yield pytest.fail("the body was read")

    with pytest.raises(PermanentError) as caught:
        await read_upload(
            untouchable(), UploadHeaders(content_length="10001"), max_bytes=10_000, spool=SPOOL
        )
    assert caught.value.code == "too-large"


async def test_a_coding_that_is_not_unpacked_is_refused() -> None:
    headers = UploadHeaders(content_encoding="br")
    assert await refusal(CONTENT, headers) == "unsupported-content-encoding"
