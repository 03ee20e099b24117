"""One piece of a run as a value: what a task does, wherever it runs.

A task in Airflow's own process performs it; one elsewhere is given its command line.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from orchestration import pipeline
from orchestration.pipeline import RunSpec

Summary = dict[str, Any]
"""A piece of work's few figures as JSON: what the tasks after it, and people, see of it."""

HAND_OVER = (
    'summary=$(python -m orchestration "$@") || exit; printf "%s\\n" "$summary" | tail -n 1 > "$0"'
)
"""A shell's words for a place that keeps no output: the summary goes to a file, its ``$0``."""

NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
LONGEST_NAME = 100
DIGEST_LETTERS = 8


class Begin(msgspec.Struct, frozen=True, kw_only=True):
    """Make the run's folder under ``root``."""

    root: Path
    run_id: str
    spec: RunSpec


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Do the step ``name`` in the run's folder, for one variant if it is done once a variant."""

    name: str
    folder: str
    variant: str | None = None


class Discard(msgspec.Struct, frozen=True, kw_only=True):
    """Remove what only the steps needed from the run's folder."""

    folder: str


Work = Begin | Step | Discard


def arguments(work: Work) -> list[str]:
    """The words after ``python -m orchestration`` that do ``work``."""
    match work:
        case Begin():
            spec = msgspec.json.encode(work.spec).decode()
            return ["begin", "--root", str(work.root), "--run-id", work.run_id, "--spec", spec]
        case Step():
            variant = [] if work.variant is None else ["--variant", work.variant]
            return ["step", work.name, "--run", work.folder, *variant]
        case Discard():
            return ["discard", "--run", work.folder]


def perform(work: Work) -> Summary:
    """Do ``work`` in this process.

    Raises:
        PermanentError: trying again cannot help.
        TransientError: it may.
    """
    match work:
        case Begin():
            folder = pipeline.begin(work.root, work.spec, work.run_id)
            return {"folder": str(folder.path), "variants": pipeline.variants(folder)}
        case Step():
            return pipeline.run_step(Path(work.folder), work.name, work.variant)
        case Discard():
            pipeline.discard_staging(Path(work.folder))
            return {}


def folder_name(dag_run_id: str) -> str:
    """A run's id as a folder can have it; two ids never share a folder.

    Airflow's own ids hold colons and plus signs, and a caller's may hold anything.
    """
    plain = NOT_IN_A_NAME.sub("-", dag_run_id).strip(".")[:LONGEST_NAME]
    if plain == dag_run_id:
        return plain
    return f"{plain}-{sha256(dag_run_id.encode()).hexdigest()[:DIGEST_LETTERS]}"
