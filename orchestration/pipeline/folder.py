"""A run's folder: what it was asked, what each step found, and the files in between.

Every step writes a record when it is done, and the record says, by digest, what the step read and
what it wrote. A step whose record still fits is not run again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from common.contracts import Contract, contract_digest, parse_contract
from common.errors import PermanentError
from orchestration.pipeline.spec import RunSpec, Variant

Found = TypeVar("Found")

RUN_FILE = "run.json"
CONTRACT_FILE = "contract.yaml"
STAGING = ("data", "feedback", "prepared")
"""Folders that are of no use once the run has ended."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """``run.json``."""

    run_id: str
    spec: RunSpec
    contract: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a step read, wrote and found. Digests are SHA-256 in hexadecimal."""

    step: str
    variant: str | None
    inputs: dict[str, str]
    outputs: dict[str, str]
    summary: dict[str, Any]
    seconds: float
    finished: datetime

    @property
    def digest(self) -> str:
        """Of what matters to later steps: not of when it was done."""
        return digest_of([self.step, self.variant, self.inputs, self.outputs, self.summary])


class RunFolder:
    """An existing run.

    Raises:
        PermanentError: code "no-run" when the folder holds none, "broken-run" when its files cannot
            be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / RUN_FILE).is_file():
            raise PermanentError(
                "no-run", f"{path} is not a run's folder: it has no {RUN_FILE}. Begin one first."
            )
        run = self.read(RUN_FILE, Run)
        self.run_id, self.spec, self.contract_digest = run.run_id, run.spec, run.contract

    @cached_property
    def contract(self) -> Contract:
        """The contract as it was when the run began."""
        text = (self.path / CONTRACT_FILE).read_text("utf-8")
        contract = parse_contract(text, source=str(self.path / CONTRACT_FILE))
        if contract_digest(contract) != self.contract_digest:
            raise self._broken(CONTRACT_FILE, "it was changed after the run began")
        return contract

    def variant(self, name: str) -> Variant:
        """One of the run's variants.

        Raises:
            PermanentError: code "unknown-variant" when the run has none of that name.
        """
        for variant in self.spec.variants:
            if variant.name == name:
                return variant
        known = ", ".join(variant.name for variant in self.spec.variants)
        raise PermanentError("unknown-variant", f"The run has no variant {name!r}; it has {known}.")

    def record(self, step: str, variant: str | None = None) -> Record | None:
        """What a step found, or None when it was not run."""
        name = _record_name(step, variant)
        return self.read(name, Record) if (self.path / name).is_file() else None

    def summary(self, step: str, kind: type[Found], variant: str | None = None) -> Found:
        """What an earlier step found.

        Raises:
            PermanentError: code "step-out-of-order" when it was not run.
        """
        record = self.record(step, variant)
        if record is None:
            raise PermanentError(
                "step-out-of-order", f"Run {self.run_id} has not been through {step} yet."
            )
        return msgspec.convert(record.summary, kind)

    def keep(self, record: Record) -> None:
        """Write a step's record; it is there whole or not at all."""
        content = msgspec.json.format(msgspec.json.encode(record), indent=2)
        self.write(_record_name(record.step, record.variant), content)

    def read(self, name: str, kind: type[Found]) -> Found:
        """Decode one of the folder's JSON files."""
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=kind)
        except (OSError, msgspec.DecodeError) as error:
            raise self._broken(name, str(error)) from error

    def write(self, name: str, content: bytes) -> None:
        """Write a file so that nobody ever sees half of it."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        beside.write_bytes(content)
        beside.replace(target)

    def digests(self, names: Iterable[str]) -> dict[str, str]:
        """The SHA-256 of files, by their names in the folder."""
        return {name: hashlib.sha256((self.path / name).read_bytes()).hexdigest() for name in names}

    def holds(self, outputs: Mapping[str, str]) -> bool:
        """Whether a step's files are all there, byte for byte."""
        present = all((self.path / name).is_file() for name in outputs)
        return present and self.digests(outputs) == dict(outputs)

    def discard_staging(self) -> None:
        """Remove the copied data; the records, the models and the card stay."""
        for name in STAGING:
            shutil.rmtree(self.path / name, ignore_errors=True)

    def _broken(self, name: str, why: str) -> PermanentError:
        return PermanentError(
            "broken-run", f"{self.path / name} cannot be used: {why}. Begin another run."
        )


def begin(root: Path, spec: RunSpec, run_id: str, contract: Contract) -> RunFolder:
    """Make ``root/run_id``; the same run may be begun again, and goes on where it was.

    Raises:
        PermanentError: code "bad-run-id" when it is no folder's name, "run-exists" when another run
            has that id, "bad-spec" when two variants share a name.
    """
    if not run_id or run_id in {".", ".."} or not set(run_id).isdisjoint("/\\\0"):
        raise PermanentError("bad-run-id", f"{run_id!r} cannot name a folder; choose another id.")
    names = [variant.name for variant in spec.variants]
    if len(set(names)) < len(names):
        raise PermanentError("bad-spec", f"Two variants share a name: {', '.join(names)}.")
    path = root / run_id
    run = Run(run_id=run_id, spec=spec, contract=contract_digest(contract))
    if (path / RUN_FILE).is_file():
        found = RunFolder(path)
        if found.read(RUN_FILE, Run) != run:
            raise PermanentError(
                "run-exists",
                f"{path} is a run of another specification or contract. Choose another run id.",
            )
        return found
    path.mkdir(parents=True, exist_ok=True)
    (path / CONTRACT_FILE).write_text(contract.source_text, "utf-8")
    # Written last: a folder without it is no run.
    beside = path / f".{RUN_FILE}.{os.getpid()}"
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2))
    beside.replace(path / RUN_FILE)
    return RunFolder(path)


def digest_of(value: Any) -> str:
    """The SHA-256 of a value's JSON."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def now() -> datetime:
    """The time, for people."""
    return datetime.now(UTC)


def _record_name(step: str, variant: str | None) -> str:
    return f"{step}.json" if variant is None else f"{step}-{variant}.json"
