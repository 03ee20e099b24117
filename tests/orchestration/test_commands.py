"""The command line: what it prints, where it writes, how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from common.contracts import shipped_contracts
from common.errors import PermanentError
from orchestration.__main__ import FAILED, TRY_AGAIN, main
from orchestration.commands import read_variants
from orchestration.extraction import extract


def test_samples_are_written_to_a_folder_a_contract(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    families = list(shipped_contracts())
    arguments = ["samples", "--contract", *families, "--out", str(tmp_path), "--files", "2"]
    assert main([*arguments, "--seed", "3"]) == 0
    for family in families:
        assert len(list((tmp_path / family).iterdir())) == 2
        assert f"{family}: 2 files" in capsys.readouterr().out or family != families[0]


def test_training_prints_its_figures_beside_the_majority(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["samples", "--contract", "card-accounts", "--out", str(tmp_path), "--files", "4"])
    arguments = ["train", "--contract", "card-accounts", "--data", str(tmp_path)]
    assert main([*arguments, "--no-register", "--run", str(tmp_path / "runs")]) == 0
    printed = capsys.readouterr().out
    assert "held out by group (file)" in printed
    assert "majority" in printed
    assert "macro-F1" in printed
    assert "gate: promote" in printed
    assert "nothing registered" in printed
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "card" / "model-card.md").is_file()


def test_the_steps_can_be_run_one_by_one_from_a_shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["samples", "--contract", "card-accounts", "--out", str(tmp_path), "--files", "4"])
    spec = {"family": "card-accounts", "data": str(tmp_path / "card-accounts"), "track": False}
    text = json.dumps({**spec, "register": False})
    capsys.readouterr()
    assert main(["begin", "--root", str(tmp_path), "--run-id", "r", "--spec", text]) == 0
    begun = json.loads(capsys.readouterr().out)
    run = str(tmp_path / "r")
    assert begun == {"folder": run, "variants": ["default"]}
    assert main(["step", "extract", "--run", run]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["run_id"], summary["step"], summary["files"]) == ("r", "extract", 4)
    assert summary["skipped"] is False
    assert main(["step", "train", "--run", run, "--variant", "default"]) == FAILED
    assert "step-out-of-order" in capsys.readouterr().err


def test_variants_come_by_name_or_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(
        "- {name: small, settings: {rounds: 3}}\n- {name: wide, settings: {leaves: 31}}"
    )
    small, wide = read_variants([str(file)])
    assert (small.settings.rounds, wide.settings.leaves) == (3, 31)
    assert [variant.name for variant in read_variants(["default", "longer"])] == [
        "default",
        "longer",
    ]
    with pytest.raises(PermanentError, match="these have names: default"):
        read_variants(["nobodys"])
    file.write_text("- {name: small, settings: {round: 3}}")
    with pytest.raises(PermanentError, match="round"):
        read_variants([str(file)])


def test_figures_find_each_contracts_files_by_what_is_in_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["samples", "--contract", "card-accounts", "--out", str(tmp_path / "x"), "--files", "4"])
    (tmp_path / "x" / "card-accounts").rename(tmp_path / "any name")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "list.csv").write_text("nothing;of;ours\n1;2;3\n")
    capsys.readouterr()
    assert main(["figures", "--data-root", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "group (file)" in printed
    assert "purchase-cards" not in printed


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["train", "--contract", "nobodys", "--data", "."], FAILED, "unknown-contract"),
        (["begin", "--root", ".", "--run-id", "x", "--spec", "{}"], FAILED, "bad-spec"),
        (["step", "gate", "--run", "gone"], FAILED, "no-run"),
        (["evaluate", "--contract", "card-accounts", "--data", "gone"], FAILED, "no folder gone"),
        (["figures", "--data-root", "gone"], FAILED, "no-training-data"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_a_wrong_command_is_exit_code_two() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--contract", "card-accounts"])
    assert stopped.value.code == 2
    assert TRY_AGAIN not in (FAILED, 2)


def test_the_module_runs_as_a_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "orchestration", "samples", "--contract", "card-accounts"]
    subprocess.run(  # noqa: S603 - this interpreter, no shell
        [*command, "--out", str(tmp_path), "--files", "1"], check=True, timeout=60
    )
    assert len(list((tmp_path / "card-accounts").iterdir())) == 1


def test_files_that_cannot_be_read_are_left_out_with_the_reason(tmp_path: Path) -> None:
    main(["samples", "--contract", "card-accounts", "--out", str(tmp_path), "--files", "1"])
    folder = tmp_path / "card-accounts"
    (folder / "broken.csv").write_bytes(b"\x00\x01")
    (folder / "README.md").write_text("not data")
    found = extract(shipped_contracts()["card-accounts"], folder)
    assert list(found.unread) == ["broken.csv"]
    assert len(found.files) == 1


def test_the_real_accounts_are_all_read(shared_data: Path) -> None:
    contract = shipped_contracts()["card-accounts"]
    found = extract(contract, shared_data / "brazilian-real-bank")
    assert (len(found.files), found.rows, found.unread) == (18, 3290, {})
    assert {label for file in found.files for label in file.labels} <= set(contract.label.values)
