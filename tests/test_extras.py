"""Every extra must import: evidently resolved with a pandas under which it did not.

Each extra is imported in a process of its own, as the service that installs it would.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
PROJECT: dict[str, Any] = tomllib.loads(PYPROJECT.read_text())["project"]
EXTRAS: dict[str, list[str]] = {
    "base": PROJECT["dependencies"],
    **PROJECT["optional-dependencies"],
}
MODULES = {
    "aiobotocore": "aiobotocore.session",
    "apache-airflow": "airflow.sdk",
    "apache-airflow-providers-cncf-kubernetes": "airflow.providers.cncf.kubernetes",
    "multipart": "multipart",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry-sdk": "opentelemetry.sdk.trace",
    "pyyaml": "yaml",
}
"""Where the module to import has another name than the distribution, or lies deeper."""

IMPORT_TIMEOUT_SECONDS = 110


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_package_of_an_extra_can_be_imported_beside_the_others(
    extra: str, tmp_path: Path
) -> None:
    modules = [_module(requirement) for requirement in EXTRAS[extra]]

    finished = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", f"import {', '.join(modules)}"],
        env={"HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path / "airflow"), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        timeout=IMPORT_TIMEOUT_SECONDS,
        check=False,
    )

    assert finished.returncode == 0, (
        f"the extra {extra!r} ({', '.join(EXTRAS[extra])}) resolves and does not import; bound "
        f"the guilty package in pyproject.toml and compile the lock anew:\n{finished.stderr}"
    )


def _module(requirement: str) -> str:
    name = re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]
    return MODULES.get(name, name.replace("-", "_"))
