from __future__ import annotations

import time
from pathlib import Path

import pytest

from client.errors import CommandError
from client.local.readiness import free_port
from client.local.registry_server import RegistryServer
from client.local.services import Service, Surroundings, consumers, producers
from client.local.system import RESTARTS, LocalSystem

TIMEOUT_SECONDS = 20.0


def wait_until_ended(system: LocalSystem) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while any(running.child.exit_code is None for running in system._services):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_service_that_keeps_ending_is_started_again_and_then_given_up(tmp_path: Path) -> None:
    said: list[str] = []
    system = LocalSystem(tmp_path, traces="http://127.0.0.1:1", say=said.append)
    prints_and_ends = Service(name="short lived", module="this", port=free_port(), settings={})
    try:
        with pytest.raises(CommandError, match=r"(?s)short lived ended .*Namespaces are one"):
            system.start_services([prints_and_ends])
        for _ in range(RESTARTS):
            wait_until_ended(system)
            system.mend()
        wait_until_ended(system)

        with pytest.raises(CommandError, match=r"(?s)exit code 0.*started again 3 times"):
            system.mend()
    finally:
        system.stop()

    assert sum("Starting it again" in line for line in said) == RESTARTS


def test_a_service_finds_only_the_local_system_whatever_the_shell_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_PROFILE", "MLFLOW_TRACKING_TOKEN", "OTEL_SDK_DISABLED", "https_proxy"):
        monkeypatch.setenv(name, "somebody-elses")
    surroundings = Surroundings(
        engine="http://127.0.0.1:1", mlflow="http://127.0.0.1:2", traces="", logs=tmp_path
    )

    environment = surroundings.environment()

    assert "somebody-elses" not in environment.values()
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environment["PATH"]


def test_two_local_systems_do_not_count_on_the_same_port_before_either_listens(
    tmp_path: Path,
) -> None:
    first = RegistryServer(tmp_path / "first", tmp_path / "log")
    second = RegistryServer(tmp_path / "second", tmp_path / "log")
    try:
        assert first.port != second.port
    finally:
        first.release()
        second.release()


def test_replicas_have_ports_and_names_of_their_own() -> None:
    services = [*producers(2, 8000), *consumers(2, ["a", "b"])]

    assert [service.port for service in services[:2]] == [8000, 8001]
    assert len({service.port for service in services}) == 4
    assert len({service.name for service in services}) == 4
    assert services[3].settings == {"CARIMBO_MODELS": "a,b"}
