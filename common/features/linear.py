"""Fits the linear model behind a text feature: softmax regression on hashed n-grams.

Only training imports this module: it needs SciPy, which serving does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize  # type: ignore[import-untyped]
from scipy.sparse import csr_array  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from common.contracts.recipe import TextFeature
from common.features.text import Grams, Text, TextScores, grams

Matrix = NDArray[np.float64]
STEPS = 150
REMEMBERED_STEPS = 8


def fit_text(feature: TextFeature, distinct: Sequence[Text], tallies: Matrix) -> TextScores:
    """Fit weights on distinct texts, ``tallies[i, k]`` rows of which carry label k.

    Rare n-grams start with a longer reach (their inverse document frequency), as they tell more.
    Deterministic: it starts from zero weights and takes a bounded number of L-BFGS steps on one
    thread (several add up in no fixed order, and were three times slower on a busy machine).
    """
    used = np.flatnonzero(tallies.any(axis=1))
    design = _design(grams([distinct[int(place)] for place in used], feature), feature)
    rarity = _rarity(design)
    held = np.unique(design.indices)
    reach = (design[:, held] * rarity[None, held]).tocsr()
    weights = np.zeros((design.shape[1], tallies.shape[1]))
    weights[held] = _descend(reach, tallies[used], float(feature.penalty)) * rarity[held, None]
    return TextScores.of(feature, weights)


def _descend(design: csr_array, tallies: Matrix, penalty: float) -> Matrix:
    """The weights that minimise the rows' mean log-loss and the penalty on all but the last, bias.

    ``design`` has only columns that are not empty: most buckets are, in a small training.
    """
    shape = (design.shape[1], tallies.shape[1])
    transposed = design.T.tocsr()
    totals = tallies.sum(axis=1, keepdims=True)
    rows = float(totals.sum())
    penalties = np.full((shape[0], 1), penalty / rows)
    penalties[-1] = 0.0

    def loss(flat: Matrix) -> tuple[float, Matrix]:
        weights = flat.reshape(shape)
        logs = design @ weights
        logs -= logs.max(axis=1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
        slope = transposed @ (totals * np.exp(logs) - tallies) / rows + penalties * weights
        value = -(tallies * logs).sum() / rows + 0.5 * (penalties * weights**2).sum()
        return float(value), slope.ravel()

    options = {"maxiter": STEPS, "maxcor": REMEMBERED_STEPS}
    start = np.zeros(shape[0] * shape[1])
    with threadpool_limits(limits=1):
        found: Matrix = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    return found.reshape(shape)


def _rarity(design: csr_array) -> Matrix:
    """The inverse document frequency of every bucket; 1 for the bias."""
    held = np.bincount(design.indices, minlength=design.shape[1])
    rarity: Matrix = 1.0 + np.log((1.0 + design.shape[0]) / (1.0 + held))
    rarity[-1] = 1.0
    return rarity


def _design(found: Grams, feature: TextFeature) -> csr_array:
    """Texts x (buckets + 1): n-gram counts over the root of their number; 1 a word and the bias."""
    real = found.buckets != found.nothing
    texts = np.arange(len(found.starts))
    spans = np.diff(found.starts, append=len(found.buckets))
    owner = np.broadcast_to(np.repeat(texts, spans)[:, None], real.shape)
    counted = np.concatenate([owner[real], texts])
    beside = np.repeat(texts, found.words.shape[1])
    row = np.concatenate([counted, beside, texts])
    bias = np.full(len(texts), feature.buckets)
    column = np.concatenate([found.buckets[real], found.whole, found.words.ravel(), bias])
    values = np.concatenate(
        [1.0 / np.sqrt(found.counts)[counted], np.ones(len(beside) + len(texts))]
    )
    return csr_array((values, (row, column)), shape=(len(texts), feature.buckets + 1))
