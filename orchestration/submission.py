"""What a run hands to MLflow."""

from __future__ import annotations

import msgspec

from common.contracts import Contract
from common.registry import CONTRACT_FILE, ENCODERS_FILE, MODEL_FILE, files_digest


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What is logged of a run: the version's files, what people read, and what can be compared.

    ``artifacts`` are by path under the run. ``tags`` are written on the version beside those that
    loading relies on.
    """

    contract: Contract
    model: bytes
    encoders: bytes
    run_id: str
    parameters: dict[str, str | int | float]
    metrics: dict[str, float]
    artifacts: dict[str, bytes]
    tags: dict[str, str]

    @property
    def files(self) -> dict[str, bytes]:
        """The three files that a version is."""
        return {
            MODEL_FILE: self.model,
            ENCODERS_FILE: self.encoders,
            CONTRACT_FILE: self.contract.source_text.encode(),
        }

    @property
    def digest(self) -> str:
        """Over the three files; loading checks it."""
        contract = self.contract.source_text.encode()
        return files_digest(model=self.model, encoders=self.encoders, contract=contract)
