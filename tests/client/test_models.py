"""``carimbo models`` against a real registry: what it shows, does and refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from client.__main__ import main
from client.models_screen import shadow_line
from client.shadow_figures import ShadowFigures, add_up, summed
from common.aws import aws_client
from common.messages import PredictionId
from common.objects import ObjectStore
from common.registry import ModelVersion, Tag
from common.registry.routing import CanaryStopped, RoutingTag
from common.shadows import Comparison
from common.topology import shadow_key
from tests.common.registry.conftest import CONTENT, DIGEST, Server

Run = Callable[..., str]


@pytest.fixture
def server(mlflow_server: str, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A model with two versions, the first in service, in the registry that the shell names."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    server = Server(mlflow_server)
    for figure in ("0.4", "0.45"):
        server.add(CONTENT, {Tag.DIGEST: DIGEST, Tag.MACRO_F1: figure, Tag.DATA: "d" * 64})
    server.point("champion", "1")
    return server


@pytest.fixture
def done(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command that does what it is asked; gives what it printed."""

    def run(*arguments: str) -> str:
        status = main(["models", *arguments])
        printed = capsys.readouterr()
        assert status == 0, printed.err
        return printed.out

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command that refuses; gives its one line."""

    def run(*arguments: str) -> str:
        assert main(["models", *arguments]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return run


def test_a_version_is_promoted_shown_and_rolled_back(server: Server, done: Run) -> None:
    model = server.model

    assert "version 2 is the champion in place of version 1" in done(
        "promote", model, "2", "--reason", "better"
    )
    shown = done("show", model)
    assert "champion" in shown
    assert "0.45" in shown
    assert "better" in shown
    assert "version 1 is the champion in place of version 2" in done("rollback", model)
    assert "rolled back" in done("show", model)


def test_what_cannot_be_done_is_one_line_that_says_why(server: Server, refused: Run) -> None:
    model = server.model
    assert "no version '99'" in refused("promote", model, "99")
    assert "no model 'nobody'" in refused("promote", "nobody", "1")
    assert "champion already" in refused("promote", model, "1")
    assert "replaced no other version" in refused("rollback", model)
    assert "is the champion" in refused("canary", model, "1")
    assert "no percentage" in refused("canary", model, "2", "--percent", "0")
    assert "no canary" in refused("canary", model, "--stop")
    assert "no shadow" in refused("shadow", model, "--stop")
    assert "no model 'nobody'" in refused("show", "nobody")
    assert "challenger (none)" in refused("compare", model)
    assert "Two versions" in refused("compare", model, "1")


def test_a_canary_and_a_shadow_are_begun_shown_and_ended(server: Server, done: Run) -> None:
    model = server.model
    assert "25 % of the accounts" in done("canary", model, "2", "--percent", "25")
    assert "copy of every file" in done("shadow", model, "2")
    shown = done("show", model)
    assert "canary: version 2 has 25 %" in shown
    assert "shadow: version 2 gets copies" in shown

    done("canary", model, "--stop")
    done("shadow", model, "--stop")
    shown = done("show", model)
    assert "was stopped" in shown
    assert "gets copies" not in shown


def test_a_canary_that_was_stopped_by_itself_is_shown_with_its_figures(
    server: Server, done: Run
) -> None:
    stopped = CanaryStopped(version="2", since="then", at="now", reason="latency", found="p95 9")
    server.post(
        "registered-models/set-tag",
        name=server.model,
        key=RoutingTag.CANARY_STOPPED,
        value=msgspec.json.encode(stopped).decode(),
    )
    assert "version 2 was stopped at now (latency): p95 9" in done("show", server.model)


def test_a_tag_that_is_ignored_is_shown(server: Server, done: Run) -> None:
    tag = {"name": server.model, "key": RoutingTag.CANARY, "value": "ten"}
    server.post("registered-models/set-tag", **tag)
    assert "carimbo.canary is ignored" in done("show", server.model)


def test_two_versions_stand_side_by_side_with_their_difference(server: Server, done: Run) -> None:
    server.point("challenger", "2")
    for pair in ((), ("1", "2")):
        compared = done("compare", server.model, *pair)
        assert "+0.0500" in compared
        assert "d" * 12 in compared
        assert "d" * 13 not in compared


def test_models_alone_still_asks_the_service(refused: Run) -> None:
    for arguments in ((), ("list",)):
        assert "127.0.0.1:9" in refused(*arguments, "--url", "http://127.0.0.1:9")
    assert "127.0.0.1:9" in refused("--url", "http://127.0.0.1:9", "list")


def comparison(number: int, *, rows: int = 10, agreed: int = 10) -> Comparison:
    return Comparison(
        prediction_id=PredictionId(f"00000000-0000-4000-8000-{number:012}"),
        model="parcels",
        version="2",
        primary_version="1",
        rows=rows,
        agreed=agreed,
        confidence=0.5,
        shadow_confidence=0.75,
    )


def test_agreement_counts_rows_not_files() -> None:
    found = summed([comparison(1, rows=90, agreed=90), comparison(2, agreed=0)], is_sample=False)
    assert (found.files, found.files_that_differ, found.agreement) == (2, 1, 0.9)
    assert summed([], is_sample=False).agreement == 0


def test_comparisons_are_added_up_from_the_store(
    aws_environment: dict[str, str], queue_prefix: str
) -> None:
    assert aws_environment
    bucket = f"{queue_prefix}bucket"

    async def kept_and_added() -> ShadowFigures:
        async with aws_client("s3", connections=2) as client:
            store = ObjectStore(client, bucket)
            await store.ensure_bucket()
            for number in range(3):
                found = comparison(number, agreed=9)
                key = shadow_key("parcels", "2", found.prediction_id)
                await store.put_once(key, msgspec.json.encode(found), "application/json")
        assert (await add_up(bucket, "parcels", "3")).files == 0
        return await add_up(bucket, "parcels", "2")

    figures = asyncio.run(kept_and_added())

    assert (figures.files, figures.rows, figures.agreed) == (3, 30, 27)
    version = ModelVersion(model="parcels", version="2", model_id="m")
    line = shadow_line(version, figures)
    assert "27 of 30 rows the same label (90.0%)" in line
    assert "shadow of version 1" in line
