"""The pipeline's purchase-card model beside a plain one, trained and judged on the same rows.

``python -m benchmarks.text_baseline FOLDER``: the first months are learnt, the last whole months
that hold a quarter of the rows are labelled. The plain model is scikit-learn's LinearSVC on tf-idf
of the merchant's name in 2 to 5 characters, with and without the directorate.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC

from common.contracts import shipped_contracts
from orchestration.evaluation import answer, quality
from orchestration.extraction import TrainingFile, extract
from orchestration.splits import hold_out
from orchestration.training import train

FAMILY = "purchase-cards"
TEXT = "merchant_name"
UNIT = "directorate"
NGRAMS = (2, 5)


def main() -> None:
    """Print a line a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    contract = shipped_contracts()[FAMILY]
    parts = hold_out(contract, extract(contract, parser.parse_args().folder).files)
    learnt, held = _labels(parts.train), _labels(parts.test)
    print(f"{len(learnt)} rows learnt, {len(held)} held out by {parts.kind}")
    commonest = Counter(learnt).most_common(1)[0][0]
    _tell("majority class", held, [commonest] * len(held), 0.0)
    for with_unit in (False, True):
        started = perf_counter()
        said = _plain(parts.train, parts.test, with_unit=with_unit)
        name = f"LinearSVC, merchant{' + directorate' if with_unit else ''}"
        _tell(name, held, said, perf_counter() - started)
    started = perf_counter()
    found = answer(train(contract, parts.train), parts.test)
    _tell("the recipe of the contract", held, found.said, perf_counter() - started)
    spent = found.features_seconds + found.predict_seconds
    print(f"its features and trees: {spent / len(held) * 200 * 1000:.1f} ms for 200 rows")


def _plain(
    train_files: Sequence[TrainingFile], test_files: Sequence[TrainingFile], *, with_unit: bool
) -> list[str]:
    words = TfidfVectorizer(analyzer="char_wb", ngram_range=NGRAMS, sublinear_tf=True)
    units = OneHotEncoder(handle_unknown="ignore")
    learnt = words.fit_transform(_texts(train_files, TEXT))
    held = words.transform(_texts(test_files, TEXT))
    if with_unit:
        learnt = hstack([learnt, units.fit_transform(_column(train_files, UNIT))]).tocsr()
        held = hstack([held, units.transform(_column(test_files, UNIT))]).tocsr()
    model = LinearSVC().fit(learnt, _labels(train_files))
    return [str(label) for label in model.predict(held)]


def _labels(files: Sequence[TrainingFile]) -> list[str]:
    return [label for file in files for label in file.labels]


def _texts(files: Sequence[TrainingFile], column: str) -> list[str]:
    return [cell or "" for file in files for cell in file.columns[column]]


def _column(files: Sequence[TrainingFile], column: str) -> list[list[str]]:
    return [[text] for text in _texts(files, column)]


def _tell(name: str, truth: Sequence[str], said: Sequence[str], seconds: float) -> None:
    found = quality(truth, said)
    print(
        f"{name:34}macro-F1 {found.macro_f1:.3f}   accuracy {found.accuracy:.3f}   {seconds:.1f} s"
    )


if __name__ == "__main__":
    main()
