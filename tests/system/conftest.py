"""The whole system as real processes: two producers, two consumers, engine, registry, traces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from client.local.readiness import free_port
from client.local.services import Service, consumers, producers
from client.local.sink import TraceSink, TraceStore
from client.local.system import LocalSystem
from client.local.training import generate_samples, train
from common.contracts import shipped_contracts

REPLICAS = 2


@dataclass(frozen=True, slots=True)
class RunningSystem:
    """Where a test finds what runs."""

    system: LocalSystem
    producers: tuple[Service, ...]
    consumers: tuple[Service, ...]
    traces: TraceStore
    samples: Path

    def predictions_url(self, model: str, *, producer: int = 0) -> str:
        """Where a file for ``model`` goes, through one of the producers."""
        return f"{self.api(producer)}/v1/models/{model}/predictions"

    def api(self, producer: int = 0) -> str:
        """A producer's address."""
        return f"http://127.0.0.1:{self.producers[producer].port}"


def two_free_ports() -> int:
    """The first of two neighbouring ports that nothing listens on."""
    for _ in range(50):
        port = free_port()
        if free_port(port + 1) == port + 1:
            return port
    raise RuntimeError("no two neighbouring free ports found")


@pytest.fixture(scope="session")
def running_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """Started once, with models trained on generated samples."""
    state = tmp_path_factory.mktemp("system")
    families = sorted(shipped_contracts())
    with TraceSink() as sink:
        system = LocalSystem(state, traces=sink.url, say=print)
        try:
            system.start_foundations()
            samples = state / "samples"
            system.run_task(generate_samples(families, samples, system.surroundings))
            system.run_task(train(families, samples, system.surroundings))
            up_front = producers(REPLICAS, two_free_ports())
            behind = consumers(REPLICAS, families)
            system.start_services([*behind, *up_front])
            yield RunningSystem(system, tuple(up_front), tuple(behind), sink.store, samples)
        finally:
            system.stop()
