"""The steps over a run's folder: in order, done once, and nothing learnt of what is held out."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from common.contracts import shipped_contracts
from common.errors import PermanentError
from common.feedback import Feedback, write_feedback
from common.messages import PredictionId
from common.registry import Registry, Tag
from orchestration.hyperparameters import Hyperparameters
from orchestration.pipeline import (
    STEPS,
    RunSpec,
    Variant,
    Window,
    begin,
    discard_staging,
    run_step,
    variants,
)
from orchestration.pipeline.folder import RunFolder
from orchestration.pipeline.prepared import read_holdout, read_train
from orchestration.samples import generate, shipped_profile

FAMILY = "card-accounts"
SMALL = Variant(name="small", settings=Hyperparameters(rounds=4, threads=1))
POOR = Variant(name="poor", settings=Hyperparameters(rounds=4, leaves=2, balance=1.0, threads=1))
"""Better than the majority, and no more."""

SMALLER = Variant(name="smaller", settings=Hyperparameters(rounds=1, leaves=2, threads=1))

pytestmark = [
    # MLflow warns about type hints of its own.
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow.types.type_hints"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten generated accounts."""
    folder = tmp_path_factory.mktemp("accounts")
    made = generate(shipped_contracts()[FAMILY], shipped_profile(FAMILY), files=10, seed=4)
    for sample in made:
        (folder / sample.name).write_bytes(sample.content)
    return folder


def spec_of(data: Path, **changes: Any) -> RunSpec:
    return RunSpec(
        **{
            "family": FAMILY,
            "data": str(data),
            "variants": (SMALL,),
            "register": False,
            "track": False,
            **changes,
        }
    )


def run_all(run: RunFolder, until: str = STEPS[-1]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for step in STEPS[: STEPS.index(until) + 1]:
        for variant in variants(run) if step == "train" else [None]:
            found[step] = run_step(run.path, step, variant)
    return found


def test_every_step_leaves_a_record_and_is_not_run_again(data: Path, tmp_path: Path) -> None:
    run = begin(tmp_path, spec_of(data), "r")
    first = run_all(run)
    assert not any(summary["skipped"] for summary in first.values())
    assert all(json.dumps(summary) for summary in first.values())
    written = {path: path.stat().st_mtime_ns for path in run.path.rglob("*") if path.is_file()}
    again = run_all(run)
    assert all(summary["skipped"] for summary in again.values())
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert first["gate"]["verdict"] == again["gate"]["verdict"]


def test_a_file_that_was_damaged_is_made_anew_the_same(data: Path, tmp_path: Path) -> None:
    run = begin(tmp_path, spec_of(data), "r")
    run_all(run, until="train")
    model = run.path / "models" / "small" / "model.lgb"
    whole = model.read_bytes()
    model.write_bytes(whole[:-1])
    assert run_step(run.path, "train", "small")["skipped"] is False
    assert model.read_bytes() == whole


def test_a_step_waits_for_the_steps_before_it(data: Path, tmp_path: Path) -> None:
    run = begin(tmp_path, spec_of(data), "r")
    with pytest.raises(PermanentError, match="extract") as refused:
        run_step(run.path, "validate")
    assert refused.value.code == "step-out-of-order"
    with pytest.raises(PermanentError, match="needs the name"):
        run_step(run.path, "train")
    with pytest.raises(PermanentError, match="no variant 'other'"):
        run_step(run.path, "train", "other")


def test_a_run_may_begin_twice_but_not_as_another(data: Path, tmp_path: Path) -> None:
    run = begin(tmp_path, spec_of(data), "r")
    run_all(run, until="extract")
    assert run_step(begin(tmp_path, spec_of(data), "r"), "extract")["skipped"]
    with pytest.raises(PermanentError, match="another specification"):
        begin(tmp_path, spec_of(data, seed=8), "r")
    for bad in ("", "..", "a/b"):
        with pytest.raises(PermanentError, match="cannot name a folder"):
            begin(tmp_path, spec_of(data), bad)


def test_the_run_keeps_the_data_that_it_began_with(data: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in data.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    run = begin(tmp_path, spec_of(source), "r")
    before = run_all(run, until="extract")["extract"]["data_digest"]
    next(source.iterdir()).unlink()
    assert run_step(run, "extract")["data_digest"] == before
    fresh = begin(tmp_path, spec_of(source), "s")
    assert run_step(fresh, "extract")["data_digest"] != before


def test_no_held_out_row_is_learnt(data: Path, tmp_path: Path) -> None:
    run = begin(tmp_path, spec_of(data), "r")
    summary = run_all(run, until="prepare")["prepare"]
    train, held = read_train(run), read_holdout(run)
    assert {file.name for file in train}.isdisjoint(file.name for file in held)
    rows = sum(len(file.labels) for file in train), sum(len(file.labels) for file in held)
    assert rows == (summary["train_rows"], summary["holdout_rows"])
    assert min(rows) > 0


def test_a_window_cuts_rows_by_their_day(data: Path, tmp_path: Path) -> None:
    whole = begin(tmp_path, spec_of(data), "whole")
    run_all(whole, until="prepare")
    days = sorted(day for file in read_train(whole) for day in file.columns["transaction_date"])
    middle = days[len(days) // 2]
    part = begin(tmp_path, spec_of(data, window=Window(start=middle)), "part")
    run_all(part, until="prepare")
    kept = [day for file in read_train(part) for day in file.columns["transaction_date"]]
    assert min(kept) == middle
    assert len(kept) == sum(day >= middle for day in days)
    empty = begin(tmp_path, spec_of(data, window=Window(end=date(1999, 1, 1))), "empty")
    with pytest.raises(PermanentError, match="Widen it"):
        run_all(empty, until="prepare")


def test_the_best_variant_is_chosen_on_rows_that_are_not_held_out(
    data: Path, tmp_path: Path
) -> None:
    run = begin(tmp_path, spec_of(data, variants=(SMALLER, SMALL)), "r")
    found = run_all(run, until="evaluate")["evaluate"]
    assert set(found["inner_macro_f1"]) == {"small", "smaller"}
    best = max(found["inner_macro_f1"], key=lambda name: found["inner_macro_f1"][name])
    assert found["variant"] == best == "small"


def test_feedback_reaches_the_training_and_the_card(data: Path, tmp_path: Path) -> None:
    plain = begin(tmp_path, spec_of(data), "plain")
    run_all(plain, until="prepare")
    file = read_train(plain)[0]
    row: dict[str, str | int | None] = {
        name: cells[0] if cells[0] is None else str(cells[0])
        for name, cells in file.columns.items()
    }
    other = "FARMACIAS" if file.labels[0] != "FARMACIAS" else "HOTEIS"
    record = Feedback(
        prediction_id=PredictionId("5b0b7e0a-0000-4000-8000-000000000001"),
        model=FAMILY,
        line=2,
        label=other,
        row=row,
        received=datetime(2024, 1, 1, tzinfo=UTC),
        group=file.name,
    )
    (tmp_path / "feedback").mkdir()
    (tmp_path / "feedback" / "1.ndjson").write_bytes(write_feedback([record]))
    run = begin(tmp_path, spec_of(data, feedback=str(tmp_path / "feedback")), "r")
    assert run_all(run, until="gate")["prepare"]["corrected_rows"] >= 1
    assert read_train(run)[0].labels[0] == other
    assert "1 labels corrected" in (run.path / "card" / "model-card.md").read_text()


def test_the_card_tells_people_and_shows_pictures(data: Path, tmp_path: Path) -> None:
    run = begin(tmp_path, spec_of(data), "r")
    found = run_all(run, until="gate")["gate"]
    card = (run.path / found["card"]).read_text()
    for said in ("Verdict: better: promote", "held out by group (file)", "majority class", "SERVI"):
        assert said in card
    pictures = sorted((run.path / "card").glob("*.png"))
    assert [picture.stem for picture in pictures] == ["calibration", "confusion", "recall"]
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert f"({picture.name})" in card


def test_files_of_another_kind_stop_the_run_before_training(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "list.csv").write_text("nothing;of;ours\n1;2;3\n")
    run = begin(tmp_path, spec_of(source), "r")
    with pytest.raises(PermanentError, match="labelled row") as refused:
        run_all(run, until="validate")
    assert refused.value.code == "no-training-data"


def test_a_contract_that_nobody_has_cannot_be_trained(data: Path, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="CARIMBO_CONTRACTS"):
        begin(tmp_path, spec_of(data, family="nobodys"), "r")


def test_staging_is_discarded_and_the_card_stays(data: Path, tmp_path: Path) -> None:
    run = begin(tmp_path, spec_of(data), "r")
    run_all(run)
    discard_staging(run.path)
    assert not (run.path / "data").exists()
    assert (run.path / "card" / "model-card.md").is_file()
    assert (run.path / "models" / "small" / "model.lgb").is_file()


async def test_a_better_challenger_is_promoted_and_a_worse_one_is_kept_out(
    data: Path, tmp_path: Path, mlflow_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poor first champion, a good challenger, then the poor one again."""
    contracts = tmp_path / "contracts"
    contracts.mkdir()
    text = shipped_contracts()[FAMILY].source_text
    (contracts / "gate-test.yaml").write_text(
        text.replace("family: card-accounts", "family: gate-test")
    )
    monkeypatch.setenv("CARIMBO_CONTRACTS", str(contracts))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    good = Variant(name="good", settings=Hyperparameters(rounds=40, balance=0.5, threads=1))
    whole = await _in_turn(spec_of(data, family="gate-test", register=True), tmp_path, good)

    first, better, worse, held_back = whole
    assert first["promote"] == {**first["promote"], "promoted": True, "version": "1"}
    assert better["promote"]["promoted"], better["gate"]["reason"]
    assert (better["promote"]["version"], better["promote"]["replaced"]) == ("2", "1")
    assert not worse["promote"]["promoted"]
    assert "better than the champion" in worse["promote"]["reason"]
    assert held_back["promote"]["reason"].startswith("the run may not promote")
    async with Registry(mlflow_server) as registry:
        model = await registry.model("gate-test")
        version = await registry.version("gate-test", "2")
        refused = await registry.version("gate-test", "3")
    assert model.aliases == {"champion": "2", "challenger": "4"}
    assert version.tags[Tag.VERDICT] == "promoted"
    assert refused.tags[Tag.VERDICT] == "kept"
    assert version.tags[Tag.DATA] == better["extract"]["data_digest"]
    assert version.tags[Tag.RUN] == "run-1"
    assert version.tags[Tag.MACRO_F1] == f"{better['evaluate']['challenger']['macro_f1']:.4f}"
    assert {Tag.CODE, Tag.MAJORITY, Tag.CONTRACT, Tag.DIGEST} <= set(version.tags)


async def _in_turn(spec: RunSpec, root: Path, good: Variant) -> list[dict[str, dict[str, Any]]]:
    import asyncio  # noqa: PLC0415 - steps start loops of their own, in a thread

    import msgspec  # noqa: PLC0415

    specs = [
        msgspec.structs.replace(spec, variants=(POOR,)),
        msgspec.structs.replace(spec, variants=(good,)),
        msgspec.structs.replace(spec, variants=(POOR,)),
        msgspec.structs.replace(spec, variants=(good,), promote=False),
    ]
    found: list[dict[str, dict[str, Any]]] = []
    for number, each in enumerate(specs):
        run = begin(root, each, f"run-{number}")
        found.append(await asyncio.to_thread(run_all, run))
    return found
