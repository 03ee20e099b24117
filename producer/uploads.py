"""A request's body becomes a file: bytes, media type and name, never more bytes than the bound.

A raw body and a multipart form give the same. A large one is never in memory: it goes to disk as it
arrives. Unpacking is the reader's work, because its bound is on what comes out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import Message
from typing import IO

from multipart import (  # type: ignore[import-untyped]  # ships no types
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
)

from common.errors import PermanentError
from producer.large_files import LARGE_BYTES, Spool

FORM = "multipart/form-data"
FORM_FIELD = "file"
MOST_PARTS = 16
KNOWN_CODINGS = ("gzip", "x-gzip", "identity")


@dataclass(frozen=True, slots=True)
class Upload:
    """A client's file. ``file_name`` may hold personal data: it is never logged.

    The content of a large one is in ``file`` alone, which belongs to the request's spool.
    """

    content: bytes
    media_type: str | None
    file_name: str | None
    file: IO[bytes] | None = None


@dataclass(frozen=True, slots=True)
class UploadHeaders:
    """The request headers that say what the body is, as sent; None when absent."""

    content_type: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_length: str | None = None


async def read_upload(
    body: AsyncIterator[bytes], headers: UploadHeaders, *, max_bytes: int, spool: Spool
) -> Upload:
    """Collect the body, at most ``max_bytes`` of it, and take the file out of it.

    Raises:
        PermanentError: ``too-large``, ``unsupported-content-encoding`` or ``malformed-upload``.
        TransientError: it is large, and there is no place for one more.
    """
    _refuse_unknown_coding(headers.content_encoding)
    if (headers.content_length or "").isdigit() and int(headers.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    media_type, parameters = parse_header(headers.content_type)
    content = _Content(spool)
    if media_type == FORM:
        return await _form_file(body, parameters.get("boundary", ""), max_bytes, content)
    async for chunk in body:
        if content.size + len(chunk) > max_bytes:
            raise _too_large(max_bytes)
        content.add(chunk)
    return content.upload(headers.content_type, _file_name(headers.content_disposition))


class _Content:
    """What has arrived of a file: in memory, and once it is large on disk."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self.size = 0

    def add(self, piece: bytes | bytearray) -> None:
        self.size += len(piece)
        if self._file is None and self.size > LARGE_BYTES:
            self._file = self._spool.file()
            self._file.write(self._memory)
            self._memory.clear()
        if self._file is None:
            self._memory += piece
        else:
            self._file.write(piece)

    def upload(self, media_type: str | None, file_name: str | None) -> Upload:
        return Upload(bytes(self._memory), media_type, file_name, self._file)


def parse_header(value: str | None) -> tuple[str, dict[str, str]]:
    """A header's main value in lower case, and its parameters (RFC 2231 forms decoded)."""
    if not value:
        return "", {}
    message = Message()
    message["Content-Disposition"] = value
    parameters = message.get_params(header="content-disposition") or []
    main = parameters[0][0] if parameters else ""
    return main.strip().lower(), {name.lower(): text for name, text in parameters[1:]}


def _file_name(content_disposition: str | None) -> str | None:
    if not content_disposition:
        return None
    message = Message()
    message["Content-Disposition"] = content_disposition
    return message.get_filename()


async def _form_file(
    body: AsyncIterator[bytes], boundary: str, max_bytes: int, content: _Content
) -> Upload:
    """The first part that is a file, or is called ``file``; the other parts are passed over."""
    if not boundary:
        raise _malformed("its Content-Type has no boundary")
    parser = PushMultipartParser(boundary, max_segment_count=MOST_PARTS)
    chosen: MultipartSegment | None = None
    inside = False
    received = 0
    try:
        with parser:
            async for chunk in body:
                received += len(chunk)
                if received > max_bytes:
                    raise _too_large(max_bytes)
                for event in parser.parse(chunk) if chunk else ():
                    if isinstance(event, MultipartSegment):
                        inside = chosen is None and _is_file(event)
                        chosen = event if inside else chosen
                    elif event is None:
                        inside = False
                    elif inside:
                        content.add(event)
    except MultipartError as error:
        raise _malformed(str(error)) from error
    if chosen is None:
        raise _malformed(f"no part is a file or is named {FORM_FIELD!r}")
    return content.upload(chosen.content_type, chosen.filename)


def _is_file(segment: MultipartSegment) -> bool:
    return bool(segment.filename) or segment.name == FORM_FIELD


def _refuse_unknown_coding(content_encoding: str | None) -> None:
    coding = (content_encoding or "identity").strip().lower()
    if coding not in KNOWN_CODINGS:
        raise PermanentError(
            "unsupported-content-encoding",
            "The body's Content-Encoding is not one this service unpacks; "
            "send it as gzip, or as it is without that header.",
        )


def _too_large(max_bytes: int) -> PermanentError:
    return PermanentError(
        "too-large",
        f"The body is larger than {max_bytes} bytes, the most this service takes; "
        "split the file, or send it packed with gzip.",
    )


def _malformed(reason: str) -> PermanentError:
    return PermanentError(
        "malformed-upload",
        f"The multipart form could not be read: {reason}. Send one file part named "
        f"{FORM_FIELD!r}, or the file itself as the body.",
    )
