"""Decides, and writes what it decided for machines and for people."""

from __future__ import annotations

import msgspec

from common.contracts import Split
from orchestration.gate import Said, Verdict, judge
from orchestration.model_card import Card, pictures, write_card
from orchestration.pipeline.folder import RunFolder
from orchestration.pipeline.outcome import Outcome
from orchestration.pipeline.steps.evaluate import (
    Evaluated,
    Evaluation,
    Judged,
    read_evaluation,
)
from orchestration.pipeline.steps.prepare import Prepared
from orchestration.pipeline.steps.train import TrainedVariant

VERDICT_FILE = "card/verdict.json"
CARD_FILE = "card/model-card.md"


class Gated(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict. ``reason`` is what decided, in a line; ``card`` is the model card's file."""

    promote: bool
    reason: str
    verdict: Verdict
    card: str


def run(folder: RunFolder) -> Outcome:
    """Write the verdict, the model card and its pictures."""
    found = read_evaluation(folder)
    evaluated = folder.summary("evaluate", Evaluated)
    prepared = folder.summary("prepare", Prepared)
    verdict = judge(
        found.truth,
        found.groups if folder.contract.split is Split.GROUP else None,
        found.majority,
        challenger=_said(found.challenger),
        champion=_said(found.champion) if found.champion else None,
        seed=folder.spec.seed,
    )
    written = _files(folder, found, evaluated, prepared, verdict)
    for name, content in written.items():
        folder.write(name, content)
    return Outcome(
        Gated(promote=verdict.promote, reason=verdict.reason, verdict=verdict, card=CARD_FILE),
        list(written),
    )


def _files(
    folder: RunFolder,
    found: Evaluation,
    evaluated: Evaluated,
    prepared: Prepared,
    verdict: Verdict,
) -> dict[str, bytes]:
    card = Card(
        contract=folder.contract,
        run_id=folder.run_id,
        data=folder.spec.data,
        evaluated=evaluated,
        prepared=prepared,
        trained=folder.summary("train", TrainedVariant, evaluated.variant),
        verdict=verdict,
        truth=found.truth,
        challenger=found.challenger.labels,
        champion=found.champion.labels if found.champion else None,
        confidences=found.challenger.confidences,
    )
    drawn = {f"card/{name}": content for name, content in pictures(card).items()}
    return {
        VERDICT_FILE: msgspec.json.format(msgspec.json.encode(verdict), indent=2),
        CARD_FILE: write_card(card).encode(),
        **drawn,
    }


def _said(judged: Judged) -> Said:
    return Said(labels=judged.labels, milliseconds=judged.milliseconds)
