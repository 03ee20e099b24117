"""The document about a new family, step by step: what it shows is what happens."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from common.registry import Registry
from orchestration.__main__ import main
from orchestration.labelling import Labeller

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "new-family.md"

pytestmark = [
    # MLflow warns about type hints of its own.
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow.types.type_hints"),
]


def block(language: str, starting: str) -> str:
    """The document's block of code that begins so."""
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return next(text for text in blocks if text.startswith(starting))


def test_the_documents_family_is_trained_and_labels_its_file(
    tmp_path: Path,
    mlflow_server: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "files").mkdir()
    (tmp_path / "contracts" / "support-tickets.yaml").write_text(block("yaml", "family:"))
    script = block("python", "import random")
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=60)  # noqa: S603
    monkeypatch.setenv("CARIMBO_CONTRACTS", str(tmp_path / "contracts"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    trained = main(
        [
            *("train", "--contract", "support-tickets", "--data", str(tmp_path / "files")),
            *("--run", str(tmp_path / "runs")),
        ]
    )
    printed = capsys.readouterr()
    assert trained == 0, printed.err
    assert "is the champion" in printed.out

    labeller = asyncio.run(_champion(mlflow_server))
    new = block("csv", "opened")
    labels, _ = labeller.label(new.encode(), "new.csv", [2, 3, 4])
    shown = re.findall(r"^ +\d+ +(\w+) +[01]\.\d\d$", DOCUMENT.read_text(), re.MULTILINE)
    assert labels == shown == ["network", "billing", "accounts"]


async def _champion(uri: str) -> Labeller:
    async with Registry(uri) as registry:
        version = await registry.version_by_alias("support-tickets", "champion")
        return Labeller.registered(await registry.files(version))
