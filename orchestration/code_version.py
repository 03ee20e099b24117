"""Which code trained a model: the commit of a checkout, or the installed version."""

from __future__ import annotations

import subprocess
from importlib.metadata import version as installed
from pathlib import Path

GIT_TIMEOUT_SECONDS = 5.0


def code_version() -> str:
    """``0.1.0+<commit>`` with ``.dirty`` for uncommitted work; ``0.1.0`` outside a checkout."""
    version = installed("carimbo")
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return version
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return version
    dirty = ".dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else ""
    return f"{version}+{commit}{dirty}"


def _git(root: Path, *arguments: str) -> str:
    try:
        found = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607 - the git of whoever trains
            cwd=root,
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
