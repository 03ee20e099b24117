"""gzip, with a bound on what comes out of it."""

from __future__ import annotations

import zlib

from common.tables.unreadable import UnreadableFile

GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31
_MEBIBYTE = 1024 * 1024


def unpack(content: bytes, bound: int) -> bytes:
    """Unpack every member of a gzip file, reading no further than ``bound`` bytes of result.

    Raises:
        UnreadableFile: ``too-large-unpacked``, or it is damaged or cut short.
    """
    parts: list[bytes] = []
    left = bound
    while content.startswith(GZIP_MAGIC):
        unpacker = zlib.decompressobj(wbits=_GZIP_WINDOW)
        try:
            part = unpacker.decompress(content, left + 1)
        except zlib.error:
            raise _damaged("damaged") from None
        left -= len(part)
        if left < 0:
            raise too_large(bound)
        if not unpacker.eof:
            raise _damaged("cut short")
        parts.append(part)
        content = unpacker.unused_data
    return b"".join(parts)


def too_large(bound: int) -> UnreadableFile:
    """Make the error of a file that is larger than a file may be."""
    return UnreadableFile(
        "too-large-unpacked",
        f"The file holds more than {bound / _MEBIBYTE:g} MiB, which is the most that one file may "
        "hold. Split it.",
        looked_for=f"at most {bound} bytes",
        found="more",
    )


def _damaged(how: str) -> UnreadableFile:
    return UnreadableFile(
        "unreadable-file",
        f"The file is packed with gzip and is {how}. Pack and send it again.",
        looked_for="a whole gzip file",
        found=f"one that is {how}",
    )
