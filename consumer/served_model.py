"""One version of a model, ready to predict: its contract, its encoders, its trees.

Everything comes from the version's own files, so that a version can never meet a preparation other
than the one it was trained with. Nothing of it changes after it is built: threads share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import thread_time
from typing import Any

import lightgbm
import msgspec
import numpy as np
from numpy.typing import NDArray

from common.contracts import columns_type, contract_digest, parse_contract, recipe_columns
from common.errors import PermanentError
from common.features import Columns, Encoders, decode
from common.messages import FailureCode, PredictionRequest
from common.registry import ModelFiles
from consumer.metrics import PREDICT_CPU_SECONDS
from consumer.synthetic_rows import SYNTHETIC_ROWS, synthetic_columns

Matrix = NDArray[np.float64]
UNUSABLE = "unusable-version"


@dataclass(frozen=True, slots=True)
class Scores:
    """The likeliest label of each row and its probability, rounded to what is worth telling."""

    labels: list[str]
    confidences: list[float]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A loaded version. ``size`` is the bytes of its files; every method may run in any thread."""

    model: str
    version: str
    contract: str
    size: int
    columns: tuple[str, ...]
    encoders: Encoders
    booster: lightgbm.Booster
    decoder: msgspec.json.Decoder[Any]
    labels: NDArray[np.object_]

    def decode(self, request: PredictionRequest, parts: Sequence[msgspec.Raw] = ()) -> Columns:
        """The request's columns as this version's contract types them, one cell a line each.

        ``parts`` are the columns of a redeemed claim, some rows each: between two of them other
        threads find their turn. Without a claim the request has them itself.

        Raises:
            PermanentError: they were read by another contract, or are not what theirs says. The
                message never quotes a cell.
        """
        if request.contract != self.contract:
            raise PermanentError(
                FailureCode.CONTRACT_MISMATCH,
                f"The file was read by contract {request.contract[:12]}, but version "
                f"{self.version} of {self.model} was trained with {self.contract[:12]}. "
                "Read it again by the version's own contract.",
            )
        columns: dict[str, list[Any]] = {name: [] for name in self.columns}
        try:
            for part in parts or (request.columns,):
                decoded = self.decoder.decode(part)
                for name, cells in columns.items():
                    cells.extend(getattr(decoded, name))
        except msgspec.DecodeError as error:
            where = str(error).rpartition(" - at ")[2]
            raise PermanentError(
                FailureCode.UNPROCESSABLE,
                f"The columns are not what contract {self.contract[:12]} says; see {where[:100]}.",
            ) from None
        self._check_lengths(columns, len(request.lines))
        return columns

    def matrix(self, columns: Columns) -> Matrix:
        """Features of the whole file, rows x features."""
        return self.encoders.matrix(columns)

    def scores(self, matrix: Matrix) -> Scores:
        """Predict some rows in the calling thread, without the interpreter's lock."""
        started = thread_time()
        probabilities = _probabilities(self.booster, matrix)
        PREDICT_CPU_SECONDS.labels(self.model).inc(thread_time() - started)
        best = probabilities.argmax(axis=1)
        top = np.take_along_axis(probabilities, best[:, None], axis=1)[:, 0]
        return Scores(self.labels[best].tolist(), top.round(4).tolist())

    def _check_lengths(self, columns: Columns, rows: int) -> None:
        if rows == 0:
            raise PermanentError(
                FailureCode.UNPROCESSABLE, "The request has no line; at least one is needed."
            )
        for name, cells in columns.items():
            if len(cells) != rows:
                raise PermanentError(
                    FailureCode.UNPROCESSABLE,
                    f"Column {name!r} has {len(cells)} cells for {rows} lines; they must be as "
                    "many.",
                )


def build(model: str, version: str, files: ModelFiles) -> ServedModel:
    """Make a version of its files, and let it predict rows made from its contract. CPU only.

    Raises:
        PermanentError: the files are no model that can be served.
    """
    contract = parse_contract(files.contract.decode(), source=f"{model} {version}: contract.yaml")
    encoders = decode(files.encoders)
    served = ServedModel(
        model=model,
        version=version,
        contract=contract_digest(contract),
        size=len(files.contract) + len(files.encoders) + len(files.model),
        columns=recipe_columns(contract),
        encoders=encoders,
        booster=_booster(files.model),
        decoder=msgspec.json.Decoder(columns_type(contract)),
        labels=np.array(encoders.labels, dtype=object),
    )
    decoded = served.decoder.decode(synthetic_columns(contract))
    _warm_up(served, served.matrix({name: getattr(decoded, name) for name in served.columns}))
    return served


def _booster(text: bytes) -> lightgbm.Booster:
    try:
        return lightgbm.Booster(model_str=text.decode())
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
        raise PermanentError(
            UNUSABLE, f"model.lgb is not a LightGBM model: {error}. Register the version again."
        ) from error


def _probabilities(booster: lightgbm.Booster, matrix: Matrix) -> Matrix:
    return np.asarray(booster.predict(matrix, num_threads=1))


def _warm_up(served: ServedModel, matrix: Matrix) -> None:
    if matrix.shape[1] != served.booster.num_feature():
        raise PermanentError(
            UNUSABLE,
            f"The encoders make {matrix.shape[1]} features and the trees expect "
            f"{served.booster.num_feature()}: the files are of different trainings.",
        )
    found = _probabilities(served.booster, matrix).shape
    if found != (SYNTHETIC_ROWS, len(served.labels)):
        raise PermanentError(
            UNUSABLE,
            f"{SYNTHETIC_ROWS} rows gave probabilities of shape {found}; expected one for each of "
            f"{len(served.labels)} labels. Train with a multiclass objective.",
        )
    served.scores(matrix)
