"""What a file is, by its first bytes, by what the client says, by its name, in that order."""

from __future__ import annotations

import re
from enum import StrEnum

from common.tables.unreadable import UnreadableFile


class Medium(StrEnum):
    """The kinds of file that hold rows for us."""

    TEXT = "text"
    JSON = "json"


_MAGIC = (
    (b"PK\x03\x04", "a ZIP archive, which is also what .xlsx and .ods files are"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Word file (.xls, .doc)"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"\x1f\x8b", "a gzip file inside a gzip file"),
    (b"\x7fELF", "a program"),
    (b"{\\rtf", "an RTF document"),
)
_MARKUP = (
    (re.compile(rb"OFXHEADER\s*:|<OFX\b|<\?OFX\b", re.IGNORECASE), "an OFX statement"),
    (re.compile(rb"<!doctype html|<html\b", re.IGNORECASE), "an HTML page"),
    (re.compile(rb"<\?xml\b|<[a-z][\w:.-]*[\s>/]", re.IGNORECASE), "an XML document"),
)
_MARKUP_START = re.compile(rb"\s*(?:<|OFXHEADER\s*:)", re.IGNORECASE)
_JSON_START = re.compile(rb"\s*(?:\[\s*[\[{\]]|\{\s*[\"}])")
_SNIFFED_BYTES = 1_024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_FOREIGN = re.compile(
    r"(?:image|audio|video|font|multipart|model)/.*"
    r"|application/(?:pdf|zip|xml|x-ofx|vnd\.intu\.qfx|xhtml\+xml"
    r"|vnd\.openxmlformats-officedocument\..*|vnd\.oasis\..*|x-(?:bzip2?|7z-compressed|tar|xz))"
    r"|text/(?:html|xml|rtf)",
)
_JSON_TYPES = re.compile(r"application/(?:.*\+)?(?:x-)?(?:json|ndjson|jsonl|json-seq|jsonlines)")
_JSON_NAMES = (".json", ".ndjson", ".jsonl")
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([\w.:-]{1,40})", re.IGNORECASE)


def medium_of(content: bytes, media_type: str | None, file_name: str | None) -> Medium:
    """Decide how a file is to be read.

    Raises:
        UnreadableFile: ``unsupported-media-type``, naming what the file looks like.
    """
    looks_like = _foreign_content(content)
    if looks_like:
        raise _unsupported(f"The file looks like {looks_like}", looks_like)
    declared = (media_type or "").partition(";")[0].strip().lower()
    if _FOREIGN.fullmatch(declared):
        raise _unsupported("The file was sent with another media type", f"'{declared[:80]}'")
    if _JSON_TYPES.fullmatch(declared):
        return Medium.JSON
    if declared in ("text/csv", "text/tab-separated-values"):
        return Medium.TEXT
    is_named_json = (file_name or "").lower().removesuffix(".gz").endswith(_JSON_NAMES)
    is_json = is_named_json or _JSON_START.match(content.removeprefix(_BYTE_ORDER_MARK))
    return Medium.JSON if is_json else Medium.TEXT


def declared_charset(media_type: str | None) -> str | None:
    """Take the encoding that the client declared, if it declared one."""
    found = _CHARSET.search(media_type or "")
    return found[1] if found else None


def _foreign_content(content: bytes) -> str | None:
    for magic, name in _MAGIC:
        if content.startswith(magic):
            return name
    head = content[:_SNIFFED_BYTES].removeprefix(_BYTE_ORDER_MARK)
    if _MARKUP_START.match(head):
        return next((name for pattern, name in _MARKUP if pattern.search(head)), None)
    return None


def _unsupported(sentence: str, found: str) -> UnreadableFile:
    return UnreadableFile(
        "unsupported-media-type",
        f"{sentence}. Send delimited text (CSV), JSON or NDJSON, plain or packed with gzip.",
        looked_for="delimited text (CSV), JSON or NDJSON",
        found=found,
    )
