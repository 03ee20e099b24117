"""Text as one score per label: a linear model over hashed character n-grams and words.

The hash is FNV-1a over UTF-8 bytes, vectorised over all n-grams of a file at once: the same in
every process and on every machine, unlike Python's own. A text's scores depend on that text alone,
whatever stands beside it in the file.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.contracts.recipe import TextFeature
from common.features.cells import Cells, Floats

FNV_OFFSET = np.uint32(0x811C9DC5)
FNV_PRIME = np.uint32(0x01000193)
TEXTS_AT_ONCE = 256
"""Bounds the gathered weights: 256 texts of 100 n-grams and 100 labels are 10 MB."""

LONGEST_TEXT = 256
"""Characters of a text that are read; a merchant's name is never near it."""


Text = tuple[str, ...]
"""A row's text, then its words."""


class Grams(msgspec.Struct, frozen=True):
    """The hashed n-grams of some texts.

    ``buckets`` has a row per byte and a column per n-gram size; an n-gram that would run past its
    text's end is ``nothing``. Text i owns rows from ``starts[i]`` and ``counts[i]`` real n-grams,
    the one for its ``whole`` included. ``words`` has a column per word beside the text.
    """

    buckets: NDArray[np.intp]
    whole: NDArray[np.intp]
    words: NDArray[np.intp]
    starts: NDArray[np.intp]
    counts: NDArray[np.intp]
    nothing: int


class TextScores(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A fitted text feature.

    ``weights`` is base64 of zlib of little-endian float16, (buckets + 1) x labels; the last row is
    the bias.
    """

    feature: TextFeature
    labels: int
    weights: str

    @classmethod
    def of(cls, feature: TextFeature, weights: NDArray[np.float64]) -> TextScores:
        """Pack (buckets + 1) x labels weights, rounded to float16."""
        raw = zlib.compress(weights.astype("<f2").tobytes(), level=6)
        return cls(feature=feature, labels=weights.shape[1], weights=base64.b64encode(raw).decode())

    @cached_property
    def table(self) -> NDArray[np.float32]:
        """The weights, unpacked once: a row per bucket, the bias, and a row of zeros."""
        raw = zlib.decompress(base64.b64decode(self.weights))
        packed = np.frombuffer(raw, dtype="<f2").reshape(self.feature.buckets + 1, self.labels)
        return np.concatenate([packed, np.zeros((1, self.labels))], dtype=np.float32)

    def columns(self, cells: Cells) -> list[Floats]:
        """One column per label: the log-probability that the text alone gives it."""
        distinct, inverse = distinct_texts(texts(self.feature, cells))
        return list(self.of_texts(distinct)[inverse].T)

    def of_texts(self, distinct: Sequence[Text]) -> Floats:
        """Log-probabilities, texts x labels."""
        scores = np.empty((len(distinct), self.labels))
        for start in range(0, len(distinct), TEXTS_AT_ONCE):
            part = distinct[start : start + TEXTS_AT_ONCE]
            scores[start : start + len(part)] = self._scores(part)
        return scores

    def _scores(self, part: Sequence[Text]) -> NDArray[np.float32]:
        found = grams(part, self.feature)
        sizes = found.buckets.shape[1]
        gathered = self.table[found.buckets.reshape(-1)]
        sums = np.add.reduceat(gathered, found.starts * sizes, axis=0) + self.table[found.whole]
        scores = sums / np.sqrt(found.counts, dtype=np.float32)[:, None] + self.table[-2]
        for place in found.words.T:
            scores += self.table[place]
        scores -= scores.max(axis=1, keepdims=True)
        logs: NDArray[np.float32] = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return logs


def texts(feature: TextFeature, cells: Cells) -> list[Text]:
    """The rows' texts: columns joined by a unit separator, a missing cell empty."""
    rows: Any = zip(*(cells.raw(column) for column in feature.columns), strict=True)
    joined = ["\x1f".join(cell or "" for cell in row) for row in rows]
    words = ([cell or "" for cell in cells.raw(column)] for column in feature.words)
    return list(zip(joined, *words, strict=True))


def distinct_texts(found: Sequence[Text]) -> tuple[list[Text], NDArray[np.intp]]:
    """The different texts in order of appearance, and which of them each row holds."""
    places: dict[Text, int] = {}
    inverse = [places.setdefault(text, len(places)) for text in found]
    return list(places), np.array(inverse, dtype=np.intp)


def grams(found: Sequence[Text], feature: TextFeature) -> Grams:
    """Buckets of every text's n-grams and of the text as a whole; texts are padded by a space."""
    encoded = [f" {row[0][:LONGEST_TEXT].casefold()} ".encode() for row in found]
    lengths = np.fromiter(map(len, encoded), dtype=np.intp, count=len(encoded))
    ends = np.cumsum(lengths)
    stream = np.frombuffer(b"".join(encoded), dtype=np.uint8).astype(np.uint32)
    left = np.repeat(ends, lengths) - np.arange(len(stream))
    sizes = range(feature.ngram_min, feature.ngram_max + 1)
    nothing = feature.buckets + 1
    buckets = np.full((len(stream), len(sizes)), nothing, dtype=np.intp)
    rolling = np.full(len(stream), FNV_OFFSET, dtype=np.uint32)
    for size in range(1, min(feature.ngram_max, len(stream)) + 1):
        rolling = (rolling[: len(stream) - size + 1] ^ stream[size - 1 :]) * FNV_PRIME
        if size >= feature.ngram_min:
            place = buckets[: len(rolling), size - feature.ngram_min]
            np.copyto(place, _bucket(rolling, feature), where=left[: len(rolling)] >= size)
    whole = np.fromiter(map(zlib.crc32, encoded), dtype=np.uint32, count=len(encoded))
    counts = np.ones_like(lengths)
    for size in sizes:
        counts += np.maximum(lengths - size + 1, 0)
    starts = ends - lengths
    return Grams(buckets, _bucket(whole, feature), _words(found, feature), starts, counts, nothing)


def _words(found: Sequence[Text], feature: TextFeature) -> NDArray[np.intp]:
    """A word's bucket is its own in every column: the same word may mean something else there."""
    hashes = [
        zlib.crc32(f"{place}\x1f{word.casefold()}".encode())
        for row in found
        for place, word in enumerate(row[1:])
    ]
    shape = (len(found), len(feature.words))
    return _bucket(np.array(hashes, dtype=np.uint32), feature).reshape(shape)


def _bucket(hashes: NDArray[np.uint32], feature: TextFeature) -> NDArray[np.intp]:
    mixed = (hashes ^ (hashes >> np.uint32(15))) & np.uint32(feature.buckets - 1)
    return mixed.astype(np.intp)
