from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.__main__ import main
from client.local import engine
from client.local.readiness import free_port
from client.local.running import Running, announce, find_running, only_one
from client.local.sink import TraceSink
from client.local.spans import Span


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("CARIMBO_STATE", str(folder))
    return folder


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    return line


def test_a_port_in_use_is_one_clear_line(
    state: Path, taken_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--port", str(taken_port)]) == 1

    line = one_line(capsys)
    assert f"port {taken_port} of 127.0.0.1" in line
    assert "in use" in line
    assert "--port" in line
    assert not (state / "engine").exists()


def test_a_missing_engine_environment_is_one_clear_line(
    state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(engine, "ENGINE_PYTHON", tmp_path / "absent")

    assert main(["run", "--port", str(free_port()), "--once"]) == 1

    assert "make setup" in one_line(capsys)
    assert state.exists()


def test_a_second_run_names_the_first_one(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with only_one(state):
        announce(state, Running(pid=1234, api="http://127.0.0.1:8000"))

        assert main(["run"]) == 1

    line = one_line(capsys)
    assert "running already" in line
    assert "kill 1234" in line


def test_the_state_folder_is_free_again_after_a_run(state: Path) -> None:
    with only_one(state):
        pass
    with only_one(state):
        pass


def test_a_system_that_was_killed_is_not_taken_for_a_running_one(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state.mkdir()
    announce(state, Running(pid=1, api="http://127.0.0.1:1", traces="http://127.0.0.1:1"))

    assert main(["trace"]) == 1

    assert "make run" in one_line(capsys)


def test_the_newest_trace_is_shown_as_a_tree(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with only_one(state), TraceSink(0) as sink:
        announce(state, Running(pid=1, api="http://127.0.0.1:1", traces=sink.url))
        assert find_running(state).traces == sink.url
        sink.store.add(
            Span(
                trace_id="abc",
                span_id="1",
                parent_id="",
                service="producer",
                name="read",
                start_ns=0,
                end_ns=2_000_000,
            )
        )

        assert main(["trace"]) == 0
        shown = capsys.readouterr().out
        assert main(["trace", "def"]) == 1
        refused = one_line(capsys)

    assert "trace abc: 1 spans, 2.0 ms" in shown
    assert "producer read" in shown
    assert "'def'" in refused
    assert "abc" in refused


def test_a_service_that_is_not_there_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "account.csv"
    file.write_bytes(b"a;b\n")

    assert main(["predict", str(file), "--model", "m", "--url", "http://127.0.0.1:1"]) == 1

    assert "No answer from http://127.0.0.1:1" in one_line(capsys)


def test_a_file_that_is_not_there_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(tmp_path / "absent.csv"), "--model", "m"]) == 1

    assert "absent.csv: No such file" in one_line(capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["run", "--port", "70000"], id="no such port"),
        pytest.param(["run", "--consumers", "0"], id="nobody to work"),
        pytest.param(["predict", "f", "--model", "m", "--version", "1", "--alias", "a"], id="both"),
        pytest.param([], id="no command"),
    ],
)
def test_an_impossible_option_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)

    assert "carimbo" in capsys.readouterr().err
