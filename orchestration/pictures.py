"""The model card's pictures, as PNG; nobody else imports matplotlib."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

LABELS_AT_MOST = 24
BINS = 10
DOTS_PER_INCH = 90
COLOURS = ("#31688e", "#d9a441")
GREY = "#888888"
LONGEST_NAME = 22


def confusion(truth: Sequence[str], said: Sequence[str]) -> bytes:
    """Of each true label's rows, the share that got each label; the rarer ones summed up."""
    labels = _commonest(truth)
    names = [*labels, "others"]
    places = {label: at for at, label in enumerate(labels)}
    counts = np.zeros((len(names), len(names)))
    for true, given in zip(truth, said, strict=True):
        counts[places.get(true, len(labels)), places.get(given, len(labels))] += 1
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(2.5 + 0.3 * len(names), 2.0 + 0.3 * len(names)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), _short(names), rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), _short(names), fontsize=7)
    axes.set(xlabel="given", ylabel="true", title="Where the rows of each label go")
    figure.colorbar(image, ax=axes, shrink=0.6, label="share of the true label's rows")
    return _png(figure)


def recalls(truth: Sequence[str], said: Mapping[str, Sequence[str]]) -> bytes:
    """The recall of each of the commonest labels, a bar a model."""
    labels = _commonest(truth)
    rows = Counter(truth)
    figure = Figure(figsize=(6.5, 1.2 + 0.28 * len(labels)), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(said)
    for number, (model, answers) in enumerate(said.items()):
        right = Counter(t for t, s in zip(truth, answers, strict=True) if t == s)
        at = np.arange(len(labels)) + (number - (len(said) - 1) / 2) * height
        shares = [right[label] / rows[label] for label in labels]
        axes.barh(at, shares, height, label=model, color=COLOURS[number])
    named = [f"{name} ({rows[label]})" for name, label in zip(_short(labels), labels, strict=True)]
    axes.set_yticks(range(len(labels)), named, fontsize=7)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="recall", title="Recall of each label (held-out rows)")
    axes.legend(loc="lower right", fontsize=8)
    return _png(figure)


def calibration(truth: Sequence[str], said: Sequence[str], confidences: Sequence[float]) -> bytes:
    """How often the model is right where it says how sure it is."""
    right = np.array([true == given for true, given in zip(truth, said, strict=True)])
    sure = np.asarray(confidences)
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    held = counts > 0
    shares = np.bincount(bins, right, minlength=BINS)[held] / counts[held]
    means = np.bincount(bins, sure, minlength=BINS)[held] / counts[held]
    figure = Figure(figsize=(5, 5.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1, label="perfect")
    above.plot(means, shares, "o-", color=COLOURS[0], label="this version")
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right", title="Calibration")
    above.legend(loc="upper left", fontsize=8)
    below.bar((np.arange(BINS) + 0.5) / BINS, counts, 0.9 / BINS, color=COLOURS[0])
    below.set(xlabel="confidence", ylabel="rows")
    return _png(figure)


def _commonest(truth: Sequence[str]) -> list[str]:
    counts = Counter(truth)
    return sorted(counts, key=lambda label: (-counts[label], label))[:LABELS_AT_MOST]


def _short(names: Sequence[str]) -> list[str]:
    """Names as they are: a dollar sign in a label must not start a formula."""
    return [name[:LONGEST_NAME].replace("$", r"\$") for name in names]


def _png(figure: Figure) -> bytes:
    figure.dpi = DOTS_PER_INCH
    held = BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(held, format="png", metadata={"Software": None})
    return held.getvalue()
