"""Small trained models of a family that exists nowhere else, told apart by their labels."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import lightgbm
import msgspec

from common.contracts import Contract, contract_digest, parse_contract
from common.features.encoders import encode
from common.features.fitting import LabelledFile, fit_encoders
from common.messages import PredictionId, PredictionRequest

CONTRACT = """\
family: {family}
title: {title}
group: file
split: group
columns:
  - {{name: weight, type: decimal, role: feature, required: true}}
  - {{name: sent, type: date, role: feature, required: true, formats: ["%Y-%m-%d"]}}
  - {{name: carrier, type: category, role: feature, required: true, nullable: false}}
  - {{name: speed, type: category, role: label}}
recipe:
  - {{kind: number, column: weight, transform: signed_log}}
  - {{kind: date, column: sent, parts: [month, weekday]}}
  - {{kind: category, column: carrier, min_count: 1}}
  - {{kind: context, column: weight, statistics: [rank]}}
"""
CARRIERS = ("barge", "train", "truck")


@dataclass(frozen=True)
class TinyModel:
    """The files of one version, and the labels that only this version gives."""

    contract: Contract
    encoders: bytes
    model: bytes
    labels: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The contract's digest, which a request must carry."""
        return contract_digest(self.contract)


def contract_text(family: str, title: str = "Parcels") -> str:
    """The family's contract; another title makes another contract of it."""
    return CONTRACT.format(family=family, title=title)


def train(
    family: str,
    generation: int,
    *,
    rounds: int = 3,
    title: str = "Parcels",
    context: bool = True,
) -> TinyModel:
    """Train on random parcels; a version's labels end in its generation.

    Without ``context`` the recipe lacks its last feature.
    """
    contract = parse_contract(contract_text(family, title), source=f"{family}.yaml")
    labels = [f"{speed}-{generation}" for speed in ("fast", "slow", "stuck")]
    draw = random.Random(generation)  # noqa: S311 - no secret, and the same every time
    files = [
        LabelledFile(parcels(60, draw), [draw.choice(labels) for _ in range(60)]) for _ in range(5)
    ]
    recipe = contract.recipe if context else contract.recipe[:-1]
    fitted = fit_encoders(recipe, files, labels)
    booster = lightgbm.train(
        {
            "objective": "multiclass",
            "num_class": len(labels),
            "num_threads": 1,
            "verbose": -1,
            "seed": generation,
            "min_data_in_leaf": 2,
        },
        lightgbm.Dataset(fitted.matrix, fitted.targets),
        num_boost_round=rounds,
    )
    return TinyModel(
        contract, encode(fitted.encoders), booster.model_to_string().encode(), tuple(labels)
    )


def parcels(rows: int, draw: random.Random) -> dict[str, list[Any]]:
    """Typed columns of one file."""
    return {
        "weight": [Decimal(draw.randrange(1, 100_000)) / 100 for _ in range(rows)],
        "sent": [date(2024, 1, 1) + timedelta(days=draw.randrange(300)) for _ in range(rows)],
        "carrier": [draw.choice(CARRIERS) for _ in range(rows)],
    }


def request_of(  # noqa: PLR0913 - a request has as many parts
    model: TinyModel,
    prediction_id: str,
    *,
    rows: int = 5,
    seed: int = 0,
    alias: str | None = "champion",
    version: str | None = None,
    **changes: Any,
) -> PredictionRequest:
    """A request of ``rows`` parcels, all other fields as a producer would set them."""
    draw = random.Random(seed)  # noqa: S311 - no secret, and the same every time
    request = PredictionRequest(
        prediction_id=PredictionId(prediction_id),
        model=model.contract.family,
        lines=list(range(2, rows + 2)),
        columns=msgspec.Raw(msgspec.json.encode(parcels(rows, draw))),
        fingerprint=f"fingerprint of {seed}",
        contract=model.digest,
        rows_read=rows,
        alias=None if version else alias,
        version=version,
    )
    return msgspec.structs.replace(request, **changes)
