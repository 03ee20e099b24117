"""Bytes to text, by what makes sense under the contract.

Every single-byte encoding decodes nearly everything, so that decoding without an error proves
nothing. Each candidate is judged by the cells that hold non-ASCII bytes: known words count most,
then letters that stand in a word and agree with its case, most of all letters of the family's own
language; controls and unassigned code points rule a candidate out, signs in odd places cost it.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from functools import lru_cache

from common.contracts import Contract
from common.tables.unreadable import UnreadableFile

CANDIDATES = (
    "cp1252",
    "mac_roman",
    "cp850",
    "cp1250",
    "iso8859_2",
    "iso8859_15",
)
"""In the order in which ties are settled."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLED_BYTES = 2_048
_WIDE_SHARE = 0.3
_CONTEXT_BYTES = 40
_MAX_CONTEXTS = 400
_WIPED_CONTEXTS = 32
_TELLING_BYTES = 4

_BOUNDARIES = bytes.maketrans(b';,\t|"\r\x00', b"\n" * 7)
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")

_KNOWN_WORD, _OWN_LETTER, _LETTER, _SIGN_IN_PLACE = 12.0, 4.0, 1.0, 2.0
_ODD, _LOST = -3.0, -8.0
_RULED_OUT = float("-inf")
_DASHES = frozenset("\u2013\u2014")
_APOSTROPHES = frozenset("\u2018\u2019")
_ASIDE = frozenset(
    "\u201c\u201d\u2026\u2022\u00ab\u00bb\u00b7\u00b0\u00ba\u00aa\u00ae\u2122\u00a7\u00a0"
)
_MONEY = frozenset("£€¥")


class Decoded:
    """Text and the name of the encoding that it was read by."""

    __slots__ = ("encoding", "text")

    def __init__(self, text: str, encoding: str) -> None:
        self.text = text
        self.encoding = encoding


def decode(content: bytes, contract: Contract, declared: str | None = None) -> Decoded:
    """Decode a file. ``declared`` is the client's word for it, which settles ties.

    Raises:
        UnreadableFile: a byte order mark or a pattern of zeros promises what the bytes break.
    """
    if content.isascii() and b"\x00" not in content:
        return Decoded(content.decode("ascii"), "ascii")
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _strictly(content, encoding)
    wide = _wide_encoding(content)
    if wide:
        return _strictly(content, wide)
    try:
        return Decoded(_composed(content.decode("utf-8")), "utf-8")
    except UnicodeDecodeError:
        encoding = _most_sensible(_contexts(content), contract, declared)
    return Decoded(content.decode(encoding, errors="replace"), encoding)


def _strictly(content: bytes, encoding: str) -> Decoded:
    """Decode what announced its encoding; of UTF-8, one damaged byte must not cost the file."""
    errors = "replace" if encoding == "utf-8-sig" else "strict"
    try:
        text = content.decode(encoding, errors=errors)
    except UnicodeDecodeError as error:
        raise UnreadableFile(
            "unreadable-file",
            f"The file says that it is {encoding.upper()}, and byte {error.start} is not. Save it "
            "again as UTF-8.",
            looked_for=f"{encoding.upper()} text",
            found=f"{error.reason} at byte {error.start}",
        ) from None
    return Decoded(_composed(text.removeprefix("\ufeff")), encoding)


def _wide_encoding(content: bytes) -> str | None:
    """UTF-16 without a mark gives itself away: every other byte of plain text is zero."""
    sample = content[:_SAMPLED_BYTES]
    half = max(len(sample) // 2, 1)
    if sample[1::2].count(0) > half * _WIDE_SHARE and sample[0::2].count(0) == 0:
        return "utf-16-le"
    if sample[0::2].count(0) > half * _WIDE_SHARE and sample[1::2].count(0) == 0:
        return "utf-16-be"
    return None


def _composed(text: str) -> str:
    """Join letters and their combining accents, so that one word has one spelling."""
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def _contexts(content: bytes) -> frozenset[bytes]:
    """Collect the distinct cells, cut around their non-ASCII bytes, that tell encodings apart.

    A cell that was taken is wiped out wherever it stands: the same few words fill a column.
    """
    flat = content.translate(_BOUNDARIES)
    found: set[bytes] = set()
    for _ in range(_MAX_CONTEXTS):
        at = _first_high(flat)
        if at is None:
            break
        start = flat.rfind(b"\n", max(at - _CONTEXT_BYTES, 0), at) + 1
        start = start or max(at - _CONTEXT_BYTES, 0)
        end = flat.find(b"\n", at, at + _CONTEXT_BYTES)
        cell = flat[start : end if end >= 0 else at + _CONTEXT_BYTES]
        found.add(cell)
        flat = flat[start + len(cell) :]
        if len(found) <= _WIPED_CONTEXTS and len(cell) >= _TELLING_BYTES:
            flat = flat.replace(cell, b"")
    return frozenset(found)


def _first_high(content: bytes) -> int | None:
    """Find the first non-ASCII byte, by the fastest scanner there is."""
    try:
        content.decode("ascii")
    except UnicodeDecodeError as error:
        return error.start
    return None


def _most_sensible(contexts: frozenset[bytes], contract: Contract, declared: str | None) -> str:
    candidates = ["utf-8", *CANDIDATES]
    known = _codec_name(declared)
    if known:
        candidates = [known, *(name for name in candidates if name != known)]
    scores = {name: sum(_sense(cell, name, contract) for cell in contexts) for name in candidates}
    return max(candidates, key=lambda name: scores[name])


def _codec_name(declared: str | None) -> str | None:
    """The candidate that a declared charset means. ISO 8859-1 is what people call cp1252."""
    if not declared:
        return None
    try:
        name = codecs.lookup(declared.strip("\"' ")).name.replace("-", "_")
    except (LookupError, ValueError):
        return None
    name = {"iso8859_1": "cp1252"}.get(name, name)
    return name if name in CANDIDATES else None


@lru_cache(maxsize=8192)
def _sense(cell: bytes, encoding: str, contract: Contract) -> float:
    """How much sense a cell makes in an encoding."""
    text = cell.decode(encoding, errors="replace").strip()
    score = _KNOWN_WORD if _plain_case(text) in _known_words(contract) else 0.0
    for at, sign in enumerate(text):
        if not sign.isascii():
            score += _sign_sense(text, at, contract.letters)
    return score


@lru_cache(maxsize=64)
def _known_words(contract: Contract) -> frozenset[str]:
    """Words whose accents matter: an encoding must bring them out to be found here."""
    words = {word for column in contract.columns for word in (*column.values, *column.aliases)}
    return frozenset(_plain_case(word) for word in words if not word.isascii())


def _plain_case(text: str) -> str:
    return " ".join(text.casefold().split())


def _sign_sense(text: str, at: int, own_letters: str) -> float:
    sign = text[at]
    if sign == "\ufffd":
        return _LOST
    category = unicodedata.category(sign)
    if category in ("Cc", "Cn", "Co", "Cs"):
        return _RULED_OUT
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if category[0] == "L" and sign not in _ASIDE:
        return _letter_sense(text, at, own_letters)
    return _punctuation_sense(sign, before, after)


def _letter_sense(text: str, at: int, own_letters: str) -> float:
    sign = text[at]
    word = next(
        (found for found in _WORD.finditer(text) if found.start() <= at < found.end()), None
    )
    others = (word[0][: at - word.start()] + word[0][at - word.start() + 1 :]) if word else ""
    plain = [letter for letter in others if letter.isascii() and letter.isalpha()]
    if not plain:
        return _LETTER if sign in own_letters and not others else _ODD / 3
    is_first = word is not None and at == word.start()
    if not _case_agrees(sign, plain, is_first=is_first):
        return _ODD
    return _OWN_LETTER if sign in own_letters else _LETTER


def _case_agrees(sign: str, plain: list[str], *, is_first: bool) -> bool:
    if sign.isupper():
        return is_first or all(letter.isupper() for letter in plain)
    return any(letter.islower() for letter in plain)


def _punctuation_sense(sign: str, before: str, after: str) -> float:
    is_inside = before.isalpha() and after.isalpha()
    if sign in _DASHES:
        return _SIGN_IN_PLACE if before.isspace() == after.isspace() else 0.0
    if sign in _APOSTROPHES:
        return _SIGN_IN_PLACE if is_inside or before.isalpha() else 0.0
    if sign in _MONEY:
        return _ODD if is_inside else _SIGN_IN_PLACE
    if sign in _ASIDE:
        return _ODD if is_inside else _SIGN_IN_PLACE / 2
    return _ODD
