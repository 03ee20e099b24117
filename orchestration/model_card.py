"""What people read about a version: where it comes from, how it fares, and why it serves or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from common.contracts import Contract, contract_digest
from orchestration.gate import Verdict
from orchestration.pictures import calibration, confusion, recalls
from orchestration.pipeline.steps.evaluate import Evaluated
from orchestration.pipeline.steps.prepare import Prepared
from orchestration.pipeline.steps.train import TrainedVariant

CONFUSION = "confusion.png"
RECALL = "recall.png"
CALIBRATION = "calibration.png"
LABELS_IN_TABLE = 40


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the card and its pictures show."""

    contract: Contract
    run_id: str
    data: str
    evaluated: Evaluated
    prepared: Prepared
    trained: TrainedVariant
    verdict: Verdict
    truth: Sequence[str]
    challenger: Sequence[str]
    champion: Sequence[str] | None
    confidences: Sequence[float]


def pictures(card: Card) -> dict[str, bytes]:
    """PNG by file name."""
    said = {"challenger": card.challenger} | ({"champion": card.champion} if card.champion else {})
    return {
        CONFUSION: confusion(card.truth, card.challenger),
        RECALL: recalls(card.truth, said),
        CALIBRATION: calibration(card.truth, card.challenger, card.confidences),
    }


def write_card(card: Card) -> str:
    """The card as Markdown, its pictures beside it."""
    word = "better: promote" if card.verdict.promote else "not better: keep what serves"
    parts = [
        f"# {card.contract.title}: run {card.run_id}",
        f"**Verdict: {word}.** {card.verdict.reason}.",
        *([f"> {card.evaluated.note}"] if card.evaluated.note else []),
        "## Gate",
        _checks(card.verdict),
        "## Quality on held-out rows",
        _quality(card),
        f"![Confusion matrix]({CONFUSION})",
        f"![Recall of each label]({RECALL})",
        f"![Calibration]({CALIBRATION})",
        "## Labels",
        _labels(card),
        "## Data",
        _data(card),
        "## Training",
        _training(card),
        "## Use and limits",
        _limits(card),
    ]
    return "\n\n".join(parts) + "\n"


def _checks(verdict: Verdict) -> str:
    rows = [
        (check.name, "passed" if check.passed else "**failed**", check.found, check.required)
        for check in verdict.checks
    ]
    why = "\n".join(f"- {check.name}: {check.why}" for check in verdict.checks)
    return f"{_table(('check', '', 'found', 'required'), rows)}\n\n{why}"


def _quality(card: Card) -> str:
    found = card.evaluated
    rows = [
        ("this version", found.challenger, f"{found.challenger_milliseconds:.1f} ms"),
        (f"champion (version {found.champion_version})", found.champion, _ms(found)),
        ("majority class", found.majority, ""),
    ]
    return _table(
        ("", "macro-F1", "accuracy", "CPU for 200 rows, p95"),
        [
            (name, f"{each.macro_f1:.3f}", f"{each.accuracy:.3f}", spent)
            for name, each, spent in rows
            if each is not None
        ],
    )


def _ms(found: Evaluated) -> str:
    spent = found.champion_milliseconds
    return "" if spent is None else f"{spent:.1f} ms"


def _labels(card: Card) -> str:
    held = Counter(card.truth)
    right = Counter(t for t, s in zip(card.truth, card.challenger, strict=True) if t == s)
    given = Counter(card.challenger)
    known = card.trained.label_counts | card.trained.left_out
    order = sorted({*held, *known}, key=lambda label: (-held[label], label))
    rows = [
        (
            label.replace("|", "\\|"),
            str(known.get(label, 0)),
            str(held[label]),
            _share(right[label], held[label]),
            _share(right[label], given[label]),
        )
        for label in order[:LABELS_IN_TABLE]
    ]
    table = _table(("label", "rows learnt", "rows held out", "recall", "precision"), rows)
    further = len(order) - LABELS_IN_TABLE
    return table if further <= 0 else f"{table}\n\nand {further} rarer labels."


def _data(card: Card) -> str:
    prepared = card.prepared
    lines = [
        f"- from `{card.data}`",
        f"- learnt: {prepared.train_rows} rows of {prepared.train_files} files",
        f"- held out by {prepared.split}: {prepared.holdout_rows} rows, which it has not learnt",
        f"- feedback: {prepared.corrected_rows} labels corrected, {prepared.feedback_rows} added",
    ]
    return "\n".join(lines)


def _training(card: Card) -> str:
    trained = card.trained
    settings = ", ".join(
        f"{name} {value}" for name, value in msgspec.structs.asdict(trained.settings).items()
    )
    lines = [
        f"- variant `{card.evaluated.variant}`: {settings}",
        f"- {trained.trees} trees, {trained.model_bytes + trained.encoder_bytes} bytes in all",
        f"- contract `{contract_digest(card.contract)}`",
        *(
            f"- inner macro-F1 of `{name}`: {value:.3f}"
            for name, value in card.evaluated.inner_macro_f1.items()
        ),
    ]
    return "\n".join(lines)


def _limits(card: Card) -> str:
    rare = card.trained.left_out
    never = (
        f"It never answers with {', '.join(rare)}: too few rows to learn from."
        if rare
        else "It knows every label of its data."
    )
    return f"{card.contract.description}\n\n{never} A label that it was not taught is not seen."


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
