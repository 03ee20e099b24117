"""A piece of work, called or as a command: the same deed, the same ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.airflow.work import (
    HAND_OVER,
    Begin,
    Discard,
    Step,
    arguments,
    folder_name,
    perform,
)
from orchestration.pipeline import RunSpec, Variant

SPEC = RunSpec(
    family="card-accounts", data="/labelled", variants=(Variant(), Variant(name="other"))
)


def command(work: Begin | Step | Discard, result: Path) -> int:
    """Do it as a pod would; the exit code."""
    return subprocess.run(  # noqa: S603 - a shell on purpose, with our own words
        ["/bin/sh", "-c", HAND_OVER, str(result), *arguments(work)],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        timeout=100,
        check=False,
    ).returncode


def test_a_run_begun_by_its_command_is_the_run_begun_here(tmp_path: Path) -> None:
    begin = Begin(root=tmp_path / "runs", run_id="one", spec=SPEC)
    assert command(begin, tmp_path / "result.json") == 0
    by_command = (tmp_path / "result.json").read_text()
    # The same folder and specification again: it goes on where it was.
    assert perform(begin) == msgspec.json.decode(by_command)
    assert perform(begin)["variants"] == ["default", "other"]


def test_a_permanent_error_comes_out_of_the_shell_as_it_went_in(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    assert command(Step(name="extract", folder=str(tmp_path)), result) == 1
    assert not result.exists()


def test_the_teardown_can_be_a_command_too(tmp_path: Path) -> None:
    begun = perform(Begin(root=tmp_path / "runs", run_id="one", spec=SPEC))
    data = Path(begun["folder"]) / "data"
    data.mkdir()
    assert command(Discard(folder=begun["folder"]), tmp_path / "result.json") == 0
    assert not data.exists()


@pytest.mark.parametrize("kept", ["2026-11-23-drift", "a.b_c-1"])
def test_an_id_that_can_name_a_folder_is_its_folders_name(kept: str) -> None:
    assert folder_name(kept) == kept


@given(st.text(min_size=1, max_size=250), st.text(min_size=1, max_size=250))
def test_two_runs_never_share_a_folder(one: str, other: str) -> None:
    assert (folder_name(one) == folder_name(other)) == (one == other)


@given(st.text(min_size=1, max_size=250))
def test_a_folders_name_is_plain(run_id: str) -> None:
    name = folder_name(run_id)
    assert name not in {"", ".", ".."}
    assert "/" not in name
    assert len(name) < 120
