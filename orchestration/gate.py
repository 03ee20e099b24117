"""Whether a challenger takes the champion's place: a pure function over what both said.

It must be better than the champion beyond noise, better than the plainest guess, lose no frequent
label, and be fast enough. A family's first version has nobody to be better than.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import sqrt

import msgspec
import numpy as np
from numpy.typing import NDArray

from orchestration.evaluation import label_scores

Counts = NDArray[np.float64]


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate asks.

    The difference of macro-F1 must be above zero at the low end of an interval of ``certainty``
    over ``draws`` bootstrap samples. A label of ``frequent_rows`` held-out rows or more may lose
    ``recall_loss`` of its recall, or what is within ``deviations`` standard deviations of nothing.
    ``milliseconds`` is a model's share of the budget of a second a file, for 200 rows.
    """

    certainty: float = 0.90
    draws: int = 1000
    frequent_rows: int = 30
    recall_loss: float = 0.05
    deviations: float = 2.0
    milliseconds: float = 50.0


RULES = Rules()


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One question, its answer, and why it is asked or what it means."""

    name: str
    passed: bool
    found: str
    required: str
    why: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """``promote`` is whether every check passed; ``difference`` is of macro-F1, with its ends."""

    promote: bool
    checks: tuple[Check, ...]
    difference: tuple[float, float, float] | None

    @property
    def reason(self) -> str:
        """What decided, in a line."""
        failed = [check for check in self.checks if not check.passed]
        if failed:
            return "; ".join(
                f"{each.name}: {each.found} (required: {each.required})" for each in failed
            )
        first = self.checks[0]
        return f"{first.name}: {first.found}"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A model's labels of the held-out rows, and its CPU milliseconds for 200 rows."""

    labels: Sequence[str]
    milliseconds: float


def judge(  # noqa: PLR0913 - the rows' three faces, and two models by name
    truth: Sequence[str],
    groups: Sequence[str] | None,
    majority: str,
    *,
    challenger: Said,
    champion: Said | None,
    seed: int,
    rules: Rules = RULES,
) -> Verdict:
    """Compare two models on the same rows.

    Args:
        truth: the true label of each row.
        groups: whose each row is, where whole groups are held out: they are then drawn whole. None
            where rows are drawn one by one.
        majority: the plainest guess, the commonest label of the training rows.
        challenger: what the new model said.
        champion: what the serving model said; None when there is none.
        seed: of the bootstrap.
        rules: what is asked.
    """
    checks: list[Check] = []
    difference: tuple[float, float, float] | None = None
    if champion is not None:
        difference = bootstrap(
            truth, groups, champion.labels, challenger.labels, seed=seed, rules=rules
        )
        checks.append(_better(difference, truth, champion, challenger, rules))
    checks.append(_beats_majority(truth, majority, challenger))
    if champion is not None:
        checks.append(_keeps_recall(truth, champion.labels, challenger.labels, rules))
    checks.append(_is_fast(challenger, rules))
    return Verdict(
        promote=all(check.passed for check in checks), checks=tuple(checks), difference=difference
    )


def bootstrap(  # noqa: PLR0913 - the rows' four faces, a seed and the rules
    truth: Sequence[str],
    groups: Sequence[str] | None,
    before: Sequence[str],
    after: Sequence[str],
    *,
    seed: int,
    rules: Rules = RULES,
) -> tuple[float, float, float]:
    """The difference of macro-F1, and both ends of its bootstrap interval.

    Rows that look alike are drawn together: a multinomial over the distinct ones is the same draw.
    """
    places = {label: at for at, label in enumerate(sorted({*truth, *before, *after}))}
    owners = {name: at for at, name in enumerate(dict.fromkeys(groups or ()))}
    alike = Counter(zip(groups or [""] * len(truth), truth, before, after, strict=True))
    units = len(owners) or len(alike)
    tallies = np.zeros((2, 2, units, len(places)))
    sizes = np.ones(units)
    for at, ((group, true, first, second), rows) in enumerate(alike.items()):
        unit = owners.get(group, at)
        if groups is None:
            sizes[unit] = rows
        count = rows if groups is not None else 1
        for model, said in enumerate((first, second)):
            tallies[model, 0, unit, places[said]] += count if said == true else 0
            tallies[model, 1, unit, places[said]] += count
            tallies[model, 1, unit, places[true]] += count
    draws = np.random.default_rng(seed).multinomial(
        int(sizes.sum()), sizes / sizes.sum(), size=rules.draws
    )
    found = _difference(draws.astype(np.float64), tallies)
    tail = (1 - rules.certainty) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    whole = float(_difference(sizes[None, :], tallies)[0])
    return whole, float(low), float(high)


def _difference(draws: Counts, tallies: Counts) -> Counts:
    """Of each draw: macro-F1 of the second model less that of the first."""
    scores: list[Counts] = []
    for right, seen in tallies:
        true_positives, marked = draws @ right, draws @ seen
        f1 = np.divide(2 * true_positives, marked, out=np.zeros_like(marked), where=marked > 0)
        scores.append(f1.sum(axis=1) / np.maximum((marked > 0).sum(axis=1), 1))
    difference: Counts = scores[1] - scores[0]
    return difference


def _better(
    difference: tuple[float, float, float],
    truth: Sequence[str],
    champion: Said,
    challenger: Said,
    rules: Rules,
) -> Check:
    whole, low, high = difference
    before, after = (macro_f1(truth, said.labels) for said in (champion, challenger))
    return Check(
        name="better than the champion",
        passed=low > 0,
        found=f"macro-F1 {before:.3f} -> {after:.3f}, {whole:+.3f} [{low:+.3f}, {high:+.3f}]",
        required=f"an interval of {rules.certainty:.0%} wholly above 0",
        why="A difference that other held-out rows could turn round is no improvement.",
    )


def _beats_majority(truth: Sequence[str], majority: str, challenger: Said) -> Check:
    guess = macro_f1(truth, [majority] * len(truth))
    found = macro_f1(truth, challenger.labels)
    return Check(
        name="better than the majority class",
        passed=found > guess,
        found=f"macro-F1 {found:.3f}",
        required=f"above {guess:.3f}",
        why="Whoever answers the commonest label every time has learnt nothing.",
    )


def _keeps_recall(
    truth: Sequence[str], before: Sequence[str], after: Sequence[str], rules: Rules
) -> Check:
    """Paired: only rows that one model has right and the other wrong tell anything."""
    rows, lost, won = Counter(truth), Counter[str](), Counter[str]()
    for true, first, second in zip(truth, before, after, strict=True):
        lost[true] += first == true != second
        won[true] += second == true != first
    worse: list[tuple[float, str]] = []
    frequent = [label for label, count in rows.items() if count >= rules.frequent_rows]
    for label in frequent:
        loss = (lost[label] - won[label]) / rows[label]
        noise = sqrt(lost[label] + won[label]) / rows[label] * rules.deviations
        if loss > rules.recall_loss and loss > noise:
            worse.append((loss, label))
    worse.sort(reverse=True)
    named = ", ".join(f"{label} -{loss:.2f}" for loss, label in worse)
    return Check(
        name="recall of frequent labels",
        passed=not worse,
        found=named or f"all {len(frequent)} kept",
        required=f"no loss above {rules.recall_loss:.2f} beyond noise",
        why=(
            f"A better mean must not be bought with a label that users see often "
            f"({rules.frequent_rows} held-out rows or more)."
        ),
    )


def _is_fast(challenger: Said, rules: Rules) -> Check:
    return Check(
        name="latency share",
        passed=challenger.milliseconds <= rules.milliseconds,
        found=f"{challenger.milliseconds:.1f} ms",
        required=f"at most {rules.milliseconds:.0f} ms",
        why="CPU for 200 rows at p95, features and trees: the model's share of a second a file.",
    )


def macro_f1(truth: Sequence[str], said: Sequence[str]) -> float:
    """The mean of F1 over every label that is true of a row or was given to one."""
    scores = label_scores(truth, said)
    return sum(scores.values()) / len(scores)
