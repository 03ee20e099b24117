"""Labelled files and feedback from the real object store, through the steps of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from client.local.engine import free_port
from common.aws import aws_client
from common.contracts import shipped_contracts
from common.errors import PermanentError, TransientError
from common.feedback import Feedback, write_feedback
from common.messages import PredictionId
from common.objects import ObjectStore
from orchestration.hyperparameters import Hyperparameters
from orchestration.pipeline import RunSpec, Variant, begin, run_step
from orchestration.pipeline.prepared import read_train
from orchestration.samples import generate, shipped_profile

FAMILY = "card-accounts"
SMALL = Variant(name="small", settings=Hyperparameters(rounds=2, threads=1))


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    """Four generated accounts by name."""
    made = generate(shipped_contracts()[FAMILY], shipped_profile(FAMILY), files=4, seed=4)
    return {sample.name: sample.content for sample in made}


@pytest.fixture
def bucket(aws_environment: dict[str, str], queue_prefix: str) -> str:
    """The name of an empty bucket."""
    assert aws_environment
    name = f"{queue_prefix}bucket"
    put(name, {})
    return name


def put(bucket: str, objects: Mapping[str, bytes]) -> None:
    async def all_of_them() -> None:
        async with aws_client("s3", connections=2) as client:
            await ObjectStore(client, bucket).ensure_bucket()
            for key, content in objects.items():
                await client.put_object(Bucket=bucket, Key=key, Body=content)

    asyncio.run(all_of_them())


def spec_of(data: str, feedback: str | None = None) -> RunSpec:
    return RunSpec(
        family=FAMILY,
        data=data,
        feedback=feedback,
        variants=(SMALL,),
        register=False,
        track=False,
    )


def correction(root: Path, contents: Mapping[str, bytes]) -> tuple[Feedback, str]:
    """Another label for the first row that is learnt, as a user would give it."""
    folder = root / "labelled"
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    run = begin(root, spec_of(str(folder)), "plain")
    for step in ("extract", "validate", "prepare"):
        run_step(run, step)
    file = read_train(run)[0]
    label = "FARMACIAS" if file.labels[0] != "FARMACIAS" else "HOTEIS"
    row: dict[str, str | int | None] = {
        name: None if cells[0] is None else str(cells[0]) for name, cells in file.columns.items()
    }
    record = Feedback(
        prediction_id=PredictionId("5b0b7e0a-0000-4000-8000-000000000001"),
        model=FAMILY,
        line=2,
        label=label,
        row=row,
        received=datetime(2024, 1, 1, tzinfo=UTC),
        group=file.name,
    )
    return record, label


def test_a_run_learns_from_files_and_feedback_of_the_object_store(
    bucket: str, contents: dict[str, bytes], tmp_path: Path
) -> None:
    record, label = correction(tmp_path, contents)
    put(
        bucket,
        {
            "labelled/": b"",
            "labelled/README.md": b"not data",
            "labelled/older/broken.csv": b"\x00",
            "labelled-elsewhere/broken.csv": b"\x00",
            **{f"labelled/{name}": content for name, content in contents.items()},
            "said #1/1.ndjson": write_feedback([record]),
            "said #1/notes.txt": b"not feedback",
        },
    )
    spec = spec_of(f"s3://{bucket}/labelled/", feedback=f"s3://{bucket}/said #1")
    run = begin(tmp_path, spec, "stored")
    extracted = run_step(run, "extract")
    assert (extracted["files"], extracted["feedback_files"]) == (len(contents), 1)
    copied = {path.name: path.read_bytes() for path in (run.path / "data").iterdir()}
    assert copied == contents
    run_step(run, "validate")
    assert run_step(run, "prepare")["corrected_rows"] >= 1
    assert read_train(run)[0].labels[0] == label
    assert run_step(run, "train", "small")["trees"] > 0
    assert run_step(run, "evaluate")["rows"] > 0


def test_where_the_files_lie_changes_nothing_that_is_learnt(
    bucket: str, contents: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "labelled"
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    put(bucket, contents)
    models: list[bytes] = []
    digests: list[str] = []
    for name, data in (("folder", str(folder)), ("store", f"s3://{bucket}")):
        run = begin(tmp_path, spec_of(data), name)
        digests.append(run_step(run, "extract")["data_digest"])
        for step in ("validate", "prepare"):
            run_step(run, step)
        run_step(run, "train", "small")
        models.append((run.path / "models" / "small" / "model.lgb").read_bytes())
    assert models[0] == models[1]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("place", ["{bucket}/nowhere", "{bucket}-of-nobody/labelled"])
def test_a_place_that_does_not_exist_is_named_and_not_tried_again(
    bucket: str, contents: dict[str, bytes], tmp_path: Path, place: str
) -> None:
    put(bucket, {f"labelled/{name}": content for name, content in contents.items()})
    missing = f"s3://{place.format(bucket=bucket)}"
    for name, spec in (
        ("data", spec_of(missing)),
        ("feedback", spec_of(f"s3://{bucket}/labelled", feedback=missing)),
    ):
        with pytest.raises(PermanentError) as refused:
            run_step(begin(tmp_path, spec, name), "extract")
        assert refused.value.code == "no-training-data"
        assert missing in refused.value.message


def test_a_store_that_is_away_may_be_tried_again(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    run = begin(tmp_path, spec_of(f"s3://{bucket}/labelled"), "away")
    with pytest.raises(TransientError, match="object store answers") as refused:
        run_step(run, "extract")
    assert refused.value.code == "object-store-unavailable"
    assert msgspec.json.decode((run.path / "run.json").read_bytes())
