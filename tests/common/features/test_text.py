"""Text scores: a stable hash, each text by itself, honest in training."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest

from common.contracts.recipe import TextFeature
from common.features.fitting import LabelledFile, fit_encoders
from common.features.text import grams

FEATURE = TextFeature(columns=("text",), buckets=256)
PROBE = """
from common.contracts.recipe import TextFeature
from common.features.text import grams
found = grams([("Café São 12",), ("",)], TextFeature(columns=("text",), buckets=256))
print(found.buckets.tolist(), found.whole.tolist(), found.starts.tolist(), found.counts.tolist())
"""


def fnv(content: bytes) -> int:
    """FNV-1a, written out."""
    value = 0x811C9DC5
    for byte in content:
        value = ((value ^ byte) * 0x01000193) % 2**32
    return (value ^ (value >> 15)) & 255


def scores(texts: Sequence[str], labels: Sequence[str], read: Sequence[str]) -> np.ndarray:
    files = [
        LabelledFile({"text": texts[at::4]}, labels[at::4]) for at in range(min(4, len(texts)))
    ]
    encoders = fit_encoders([FEATURE], files, sorted(set(labels))).encoders
    return encoders.matrix({"text": read})


def test_every_n_gram_is_hashed_by_fnv_and_none_runs_into_the_next_text() -> None:
    found = grams([("ab",), ("c",)], FEATURE)
    padded = [b" ab ", b" c "]
    expected = [
        [
            fnv(text[at : at + size]) if at + size <= len(text) else found.nothing
            for size in (2, 3, 4)
        ]
        for text in padded
        for at in range(len(text))
    ]
    assert found.buckets.tolist() == expected
    assert found.starts.tolist() == [0, 4]
    assert found.counts.tolist() == [3 + 2 + 1 + 1, 2 + 1 + 1]


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_hash_is_the_same_in_every_process(seed: str) -> None:
    out = subprocess.run(  # noqa: S603 - this interpreter, no shell
        [sys.executable, "-c", PROBE],
        env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    found = grams([("Café São 12",), ("",)], FEATURE)
    here = (found.buckets, found.whole, found.starts, found.counts)
    assert out.split("\n")[0] == " ".join(str(part.tolist()) for part in here)


def test_a_text_scores_the_same_whatever_stands_beside_it() -> None:
    texts = ["bakery one", "bakery two", "tool yard", "tool shed"] * 4
    labels = ["bread", "bread", "tools", "tools"] * 4
    crowd = [f"text {number}" for number in range(600)]
    alone = scores(texts, labels, ["bakery six"])
    among = scores(texts, labels, [*crowd, "bakery six", *crowd])
    np.testing.assert_array_equal(alone[0], among[600])


def test_an_unseen_text_takes_the_label_of_those_it_resembles() -> None:
    texts = ["bakery one", "bakery two", "tool yard", "tool shed"] * 4
    labels = ["bread", "bread", "tools", "tools"] * 4
    found = scores(texts, labels, ["bakery nine", "the tool box", ""])
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-5)
    assert found[0].argmax() == 0
    assert found[1].argmax() == 1


def test_training_scores_never_come_from_the_rows_own_file() -> None:
    """A file repeats texts of its own, of random labels: who saw the file knows them by heart."""
    draw = random.Random(5)  # noqa: S311 - reproducible, not secret
    files = []
    for _ in range(8):
        texts = [f"{draw.getrandbits(64):x}" for _ in range(61)]
        labels = [draw.choice("ab") for _ in texts]
        files.append(LabelledFile({"text": texts * 3}, labels * 3))
    feature = TextFeature(columns=("text",), buckets=8192)
    fitted = fit_encoders([feature], files, ["a", "b"])
    out_of_fold = (fitted.matrix.argmax(axis=1) == fitted.targets).mean()
    own = np.vstack([fitted.encoders.matrix(file.columns) for file in files])
    by_heart = (own.argmax(axis=1) == fitted.targets).mean()
    assert by_heart > 0.95
    assert 0.4 < out_of_fold < 0.6


def test_a_single_file_is_folded_by_blocks_of_its_rows() -> None:
    texts = [f"{label} {number}" for number in range(20) for label in ("bread", "tools")]
    labels = [text.split()[0] for text in texts]
    fitted = fit_encoders([FEATURE], [LabelledFile({"text": texts}, labels)], ["bread", "tools"])
    assert np.isfinite(fitted.matrix).all()
    assert (fitted.matrix.argmax(axis=1) == fitted.targets).all()


def test_a_word_beside_the_text_says_what_the_text_does_not() -> None:
    feature = TextFeature(columns=("text",), words=("unit", "place"), buckets=256)
    units = ["school", "office"] * 20
    columns = {"text": ["online shop"] * 40, "unit": units, "place": ["here"] * 40}
    labels = ["books" if unit == "school" else "paper" for unit in units]
    fitted = fit_encoders([feature], [LabelledFile(columns, labels)], ["books", "paper"])
    read: dict[str, list[str | None]] = {
        "text": ["online shop"] * 3,
        "unit": ["SCHOOL", "office", None],
        "place": ["here", None, "here"],
    }
    found = fitted.encoders.matrix(read).argmax(axis=1)
    assert found[:2].tolist() == [0, 1]
    assert (fitted.matrix.argmax(axis=1) == fitted.targets).all()


def test_the_same_word_is_another_in_another_column() -> None:
    feature = TextFeature(columns=("text",), words=("unit", "place"), buckets=65536)
    (row,) = grams([("", "north", "north")], feature).words
    assert row[0] != row[1]
    assert grams([("", "NORTH", "North")], feature).words.tolist() == [row.tolist()]
