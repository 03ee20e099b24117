"""What the documents claim that a test can check."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

import callbacks.settings
import consumer.settings
import orchestration.settings
import producer.settings
from client import settings as client_settings

REPOSITORY = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])
README = (REPOSITORY / "README.md").read_text()
MAX_DECISION_LINES = 60


def variables(settings: type[BaseSettings]) -> set[str]:
    return {
        f"CARIMBO_{name}".upper()
        for name, field in settings.model_fields.items()
        if field.validation_alias is None
    }


def test_the_readme_lists_exactly_the_variables_that_are_read() -> None:
    listed = set(re.findall(r"^\| `(CARIMBO_\w+)`", README, re.MULTILINE))

    read = (
        variables(producer.settings.Settings)
        | variables(consumer.settings.Settings)
        | variables(callbacks.settings.Settings)
        | variables(orchestration.settings.Settings)
    )
    assert listed == read | {client_settings.STATE}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_command_in_a_document_exists(document: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))

    named = set(re.findall(r"(?:`|^\$ )make ([a-z]+)", document.read_text(), re.MULTILINE))

    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())

    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize(
    "decision", sorted(REPOSITORY.glob("docs/decisions/*.md")), ids=lambda path: path.name
)
def test_a_decision_is_short(decision: Path) -> None:
    assert len(decision.read_text().splitlines()) <= MAX_DECISION_LINES


def test_make_help_lists_every_command() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    declared = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert declared is not None

    helped = subprocess.run(
        ["make", "--no-print-directory", "help"],  # noqa: S607 - the make of whoever runs this
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert re.findall(r"^  make (\w+) +\S", helped.stdout, re.MULTILINE) == declared[1].split()
