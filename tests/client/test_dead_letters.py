from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from client.__main__ import main
from client.local.running import Running, announce, only_one
from client.settings import POINTING, local_aws
from common.aws import aws_client
from common.deadletters.letter import CODE, REASON, SOURCE
from common.messages import Failed, PredictionId, PredictionRequest
from common.objects import ObjectStore
from common.sqs import OutgoingMessage, Sender, ensure_queue, sending_client
from common.topology import dead_letter_queue, requests_queue, result_key

MODEL = "cards"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
LOCAL = (*local_aws(""), "NO_PROXY")
SECRET = "PADARIA SECRETA"  # a cell: it must show nowhere
FIRST = "0d9cf5f2-7a0e-4c58-9d1e-3f0c1a2b4c5d"
SECOND = "1d9cf5f2-7a0e-4c58-9d1e-3f0c1a2b4c5d"

T = TypeVar("T")


class Mourner:
    """Buries letters of one model, counts them, and leaves."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.bucket = f"{prefix}bucket"

    def make(self) -> None:
        async def act(client: Any, store: ObjectStore) -> None:
            await ensure_queue(
                client,
                requests_queue(self.prefix, MODEL),
                visibility_seconds=30,
                dead_letter=dead_letter_queue(self.prefix, MODEL),
            )
            await store.ensure_bucket()

        self._run(act)

    def bury(self, prediction_id: str, code: str = "internal", reason: str = "It broke.") -> None:
        async def act(client: Any, store: ObjectStore) -> None:
            name = dead_letter_queue(self.prefix, MODEL)
            url = (await client.get_queue_url(QueueName=name))["QueueUrl"]
            request = PredictionRequest(
                prediction_id=PredictionId(prediction_id),
                model=MODEL,
                lines=[2, 3],
                columns=msgspec.Raw(msgspec.json.encode({"merchant": [SECRET, SECRET]})),
                fingerprint="",
                contract="",
                rows_read=2,
            )
            headers = {
                CODE: code,
                REASON: reason,
                SOURCE: requests_queue(self.prefix, MODEL),
                "dead_letter_receive_count": "5",
                "traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01",
            }
            body = msgspec.json.encode(request)
            await Sender(client).send(url, OutgoingMessage(body=body, headers=headers))
            failed = Failed(prediction_id=request.prediction_id, model=MODEL, code=code, message="")
            key = result_key(request.prediction_id)
            await store.put_once(key, msgspec.json.encode(failed), "application/json")

        self._run(act)

    def counts(self) -> tuple[int, int, int]:
        """Messages in the dead-letter queue and in its source, and stored results."""

        async def act(client: Any, store: ObjectStore) -> tuple[int, int, int]:
            found = []
            for name in (dead_letter_queue(self.prefix, MODEL), requests_queue(self.prefix, MODEL)):
                url = (await client.get_queue_url(QueueName=name))["QueueUrl"]
                answer = await client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
                found.append(int(answer["Attributes"]["ApproximateNumberOfMessages"]))
            keys = [result_key(PredictionId(each)) for each in (FIRST, SECOND)]
            results = [await store.get(key) for key in keys]
            return found[0], found[1], len(results) - results.count(None)

        return self._run(act)

    def _run(self, act: Callable[[Any, ObjectStore], Awaitable[T]]) -> T:
        async def open_and_act() -> T:
            async with (
                sending_client(connections=4) as client,
                aws_client("s3", connections=4) as s3,
            ):
                return await act(client, ObjectStore(s3, self.bucket))

        return asyncio.run(open_and_act())


@pytest.fixture
def mourner(
    aws_environment: dict[str, str], queue_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Mourner:
    assert aws_environment
    mourner = Mourner(queue_prefix)
    monkeypatch.setenv("CARIMBO_QUEUE_PREFIX", queue_prefix)
    monkeypatch.setenv("CARIMBO_BUCKET", mourner.bucket)
    mourner.make()
    return mourner


@pytest.fixture
def two_letters(mourner: Mourner) -> Mourner:
    mourner.bury(FIRST)
    mourner.bury(SECOND, code="unprocessable", reason="No column fits.")
    return mourner


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A terminal whose person says these words, one a question."""
    words: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: words.pop(0))
    yield words
    assert words == []


def dlq(*arguments: str) -> int:
    return main(["dlq", *arguments, "--model", MODEL])


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    *_, line = capsys.readouterr().err.splitlines()
    return line


def test_the_list_tells_which_why_whence_and_how_often_and_never_a_row(
    two_letters: Mourner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dlq("list") == 0

    shown = capsys.readouterr().out
    for told in (FIRST, SECOND, TRACE_ID, "unprocessable", "No column fits.", "2 of the 2"):
        assert told in shown
    assert requests_queue(two_letters.prefix, MODEL) in "".join(shown.split())
    assert SECRET not in shown
    assert two_letters.counts() == (2, 0, 2)


def test_the_list_for_programs_is_one_object_a_line(
    two_letters: Mourner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dlq("list", "--json", "--code", "unprocessable", "--since", "2h") == 0

    (line,) = capsys.readouterr().out.splitlines()
    letter = json.loads(line)
    assert letter.pop("message_id")
    assert letter.pop("age_seconds") < 7_200
    assert letter == {
        "prediction_id": SECOND,
        "code": "unprocessable",
        "reason": "No column fits.",
        "attempts": 5,
        "trace_id": TRACE_ID,
        "source": requests_queue(two_letters.prefix, MODEL),
        "redrives": 0,
    }


@pytest.mark.usefixtures("two_letters")
def test_an_id_stays_whole_in_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.screen.PLAIN_WIDTH", 80)

    assert dlq("list") == 0

    shown = capsys.readouterr().out
    assert FIRST in shown
    *table, _ = shown.splitlines()
    assert {len(line) for line in table} <= set(range(81))
    assert {line[-1] for line in table} <= set("┓┃┩│┤┘")  # nothing is cut off


@pytest.mark.usefixtures("two_letters")
def test_a_list_that_stops_at_its_limit_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert dlq("list", "--limit", "1") == 0

    assert "there may be more" in capsys.readouterr().out


@pytest.mark.usefixtures("two_letters")
def test_one_letter_is_shown_in_full_without_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert dlq("show", FIRST) == 0

    shown = capsys.readouterr().out
    for told in (FIRST, "It broke.", "traceparent", TRACE_ID, "dead_letter_receive_count"):
        assert told in shown
    assert SECOND not in shown
    assert SECRET not in shown
    assert "merchant" not in shown
    assert "rows           2" in shown


def test_what_a_reason_holds_cannot_steer_the_terminal(
    mourner: Mourner, capsys: pytest.CaptureFixture[str]
) -> None:
    mourner.bury(FIRST, reason="\x1b[2J[bold]gone")

    assert dlq("list") == 0

    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[bold]" in shown


@pytest.mark.usefixtures("two_letters")
def test_a_letter_that_is_not_there_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert dlq("show", "no-such-id") == 1

    assert "No dead letter no-such-id" in one_line(capsys)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    two_letters: Mourner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dlq("redrive", "--all", "--dry-run") == 0
    assert dlq("purge", "--all", "--dry-run") == 0

    shown = capsys.readouterr().out
    assert "Would send back 2 of the 2" in shown
    assert "Would purge 2 of the 2" in shown
    assert "internal 1, unprocessable 1" in shown
    assert two_letters.counts() == (2, 0, 2)


def test_a_redrive_by_code_sends_back_only_those(
    two_letters: Mourner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dlq("redrive", "--code", "internal", "--rate", "50/s", "--yes") == 0

    assert "Sent back 1 of the 2" in capsys.readouterr().out
    assert two_letters.counts() == (1, 1, 1)


def test_a_purge_by_id_deletes_only_that(two_letters: Mourner) -> None:
    assert dlq("purge", "--id", FIRST, "--yes") == 0

    assert two_letters.counts() == (1, 0, 2)


def test_an_id_that_was_not_met_is_told_though_the_others_are_done(
    two_letters: Mourner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dlq("redrive", "--id", FIRST, "--id", "typo", "--yes") == 1

    assert "No dead letter typo" in one_line(capsys)
    assert two_letters.counts() == (1, 1, 1)


@pytest.mark.parametrize("act", ["redrive", "purge"])
def test_without_a_terminal_nothing_is_done_unasked(
    two_letters: Mourner, capsys: pytest.CaptureFixture[str], act: str
) -> None:
    assert dlq(act, "--all") == 1

    assert "--yes" in one_line(capsys)
    assert two_letters.counts() == (2, 0, 2)


def test_on_a_terminal_a_person_is_asked_after_seeing_what_it_means(
    two_letters: Mourner, answers: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    answers.extend(["", "y"])

    assert dlq("purge", "--all") == 1
    assert "Nothing was changed" in one_line(capsys)
    assert two_letters.counts() == (2, 0, 2)

    assert dlq("purge", "--all") == 0
    assert "Purged 2 of the 2" in capsys.readouterr().out
    assert two_letters.counts() == (0, 0, 2)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["purge", "--yes"], id="nothing said which"),
        pytest.param(["redrive", "--all", "--code", "x"], id="all and some"),
        pytest.param(["redrive", "--all", "--rate", "0/s"], id="no rate"),
        pytest.param(["redrive", "--all", "--rate", "5/m"], id="another unit"),
        pytest.param(["list", "--since", "2 weeks"], id="no duration"),
        pytest.param(["list", "--limit", "0"], id="no letter"),
    ],
)
def test_an_impossible_option_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        dlq(*arguments)

    assert "carimbo dlq" in capsys.readouterr().err


@pytest.mark.usefixtures("aws_environment")
def test_a_model_without_dead_letters_is_one_clear_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["dlq", "list", "--model", "nobody"]) == 1

    line = one_line(capsys)
    assert "dead letters of nobody" in line
    assert "AWS_" in line


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shell that says nothing about AWS, and a local system's folder."""
    for name in (*(name for name in os.environ if name.startswith(POINTING)), *LOCAL):
        monkeypatch.setenv(name, "")  # so that what the command sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CA_BUNDLE", "says nothing about whose queues are meant")
    monkeypatch.setenv("CARIMBO_STATE", str(tmp_path))
    return tmp_path


def test_without_aws_variables_the_local_system_is_meant_and_its_own_names(
    two_letters: Mourner,
    aws_environment: dict[str, str],
    state: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = aws_environment["AWS_ENDPOINT_URL"]
    assert two_letters.prefix
    with only_one(state):
        announce(state, Running(pid=1, api="http://127.0.0.1:1", engine=engine))

        assert dlq("list") == 1

    assert f"the local engine {engine}" in one_line(capsys)


@pytest.mark.usefixtures("state")
def test_without_aws_variables_and_a_local_system_it_is_one_clear_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert dlq("list") == 1

    line = one_line(capsys)
    assert "make run" in line
    assert "AWS_" in line
