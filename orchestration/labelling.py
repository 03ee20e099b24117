"""Labels held-out files the way the service does.

That is: its reader, the version's own contract and encoders, the trees on one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import thread_time

import lightgbm
import numpy as np

from common.contracts import Contract, parse_contract, recipe_columns
from common.features import Columns, Encoders, decode
from common.registry import ModelFiles
from common.tables import UnreadableFile, read_table

TYPICAL_ROWS = 200
TIMED_FILES = 20
REPEATS = 3
UNANSWERED = ""
"""What a row counts as that the model's own contract rejects: an answer that is always wrong."""


@dataclass(frozen=True, slots=True)
class Labeller:
    """A version ready to label: its contract, its encoders, its trees."""

    contract: Contract
    encoders: Encoders
    booster: lightgbm.Booster

    @classmethod
    def of(cls, *, model: bytes, encoders: bytes, contract: bytes) -> Labeller:
        """Make it of a version's three files."""
        return cls(
            contract=parse_contract(contract.decode(), source="contract.yaml"),
            encoders=decode(encoders),
            booster=lightgbm.Booster(model_str=model.decode()),
        )

    @classmethod
    def registered(cls, files: ModelFiles) -> Labeller:
        """Make it of what the registry holds."""
        return cls.of(model=files.model, encoders=files.encoders, contract=files.contract)

    def read(self, content: bytes, name: str) -> tuple[dict[int, int], Columns]:
        """A file under the model's own contract: the place of every good line, and the columns."""
        try:
            table = read_table(content, self.contract, file_name=name)
        except UnreadableFile:
            return {}, {}
        columns = {column: table.columns[column] for column in recipe_columns(self.contract)}
        return {line: place for place, line in enumerate(table.lines)}, columns

    def label(
        self, content: bytes, name: str, lines: Sequence[int]
    ) -> tuple[list[str], list[float]]:
        """The label and its probability for each of ``lines``, the whole file being known."""
        places, columns = self.read(content, name)
        if not places:
            return [UNANSWERED] * len(lines), [0.0] * len(lines)
        probabilities = self._predict(columns)
        best = probabilities.argmax(axis=1)
        top = probabilities.max(axis=1)
        found = [places.get(line) for line in lines]
        labels = [UNANSWERED if at is None else self.encoders.labels[best[at]] for at in found]
        return labels, [0.0 if at is None else float(top[at]) for at in found]

    def milliseconds(self, files: Sequence[tuple[bytes, str]]) -> list[float]:
        """CPU milliseconds of features and trees for files cut to a typical length, one each."""
        spent: list[float] = []
        for content, name in files[:TIMED_FILES]:
            _, columns = self.read(content, name)
            if not columns:
                continue
            cut = {column: cells[:TYPICAL_ROWS] for column, cells in columns.items()}
            spent.append(min(self._timed(cut) for _ in range(REPEATS)))
        return spent

    def _timed(self, columns: Columns) -> float:
        """The thread's own time: what else runs on the machine does not count."""
        started = thread_time()
        self._predict(columns)
        return (thread_time() - started) * 1000

    def _predict(self, columns: Columns) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        matrix = self.encoders.matrix(columns)
        return np.asarray(self.booster.predict(matrix, num_threads=1))
