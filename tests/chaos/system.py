"""The processes: an engine and a registry that stay, services that are started again when they end.

What Kubernetes does is done here by ``keep_alive``: a service that ended is started anew at once.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from client.local import children
from client.local.children import Child
from client.local.engine import Engine
from client.local.readiness import Awaited, free_port, wait_until_ready
from client.local.registry_server import RegistryServer
from client.local.services import new_secret
from client.settings import inherited_environment, local_aws
from tests.chaos.models import FAMILY

PREFIX = "chaos-"
BUCKET = "chaos"
PRODUCERS = 2
CONSUMERS = 3
VISIBILITY_SECONDS = 4
MAX_ATTEMPTS = 6
"""More than a bystander of crashes will need, so that whatever is given up was poison."""

START_SECONDS = 90.0
CHECK_SECONDS = 0.2
READY_SECONDS = 120.0


@dataclass(slots=True)
class Replica:
    """One service process, whichever it is by now."""

    name: str
    service: str
    port: int
    child: Child
    starts: int = 1
    killed: int = 0

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(slots=True)
class System:
    """The running system, and where the services believe AWS to be."""

    engine: Engine
    mlflow: str
    logs: Path
    law: str | None
    secret: str = field(default_factory=new_secret)
    replicas: list[Replica] = field(default_factory=list)
    died: dict[str, int] = field(default_factory=dict)
    """Ends that nobody here asked for, by service: of consumers, the crashing files' doing."""

    def of(self, service: str) -> list[Replica]:
        """The replicas of a service."""
        return [each for each in self.replicas if each.service == service]

    def start_services(self, aws: str) -> None:
        """Start every replica and wait until all are ready."""
        wanted = {"consumer": CONSUMERS, "producer": PRODUCERS, "callbacks": 1}
        awaited = []
        for service, count in wanted.items():
            for number in range(count):
                port = free_port()
                name = f"{service}-{number}"
                child = self._launch(name, service, port, aws)
                self.replicas.append(Replica(name, service, port, child))
                awaited.append(
                    Awaited(child=child, url=_ready(port), timeout_seconds=START_SECONDS)
                )
        wait_until_ready(awaited)

    async def keep_alive(self, aws: str) -> None:
        """Start again whatever ended, for ever."""
        while True:
            for replica in self.replicas:
                if replica.child.exit_code is None:
                    continue
                if replica.killed < replica.starts:
                    self.died[replica.service] = self.died.get(replica.service, 0) + 1
                replica.starts += 1
                replica.killed = replica.starts - 1
                await asyncio.to_thread(_bury, replica.child)
                replica.child = self._launch(replica.name, replica.service, replica.port, aws)
            await asyncio.sleep(CHECK_SECONDS)

    def kill(self, replica: Replica) -> None:
        """End a replica in the middle of whatever it does."""
        replica.killed = replica.starts
        replica.child.signal(signal.SIGKILL)

    async def wait_until_ready(self) -> None:
        """Wait until every replica says that it is ready.

        Raises:
            TimeoutError: one is not, long after the last fault.
        """
        async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as session:
            for replica in self.replicas:
                while not await _is_ready(session, replica.port):  # noqa: ASYNC110
                    await asyncio.sleep(CHECK_SECONDS)

    def _launch(self, name: str, service: str, port: int, aws: str) -> Child:
        module = [service] if self.law is None else ["tests.chaos.broken", self.law, service]
        return Child(
            name,
            [sys.executable, "-m", *module],
            environment={**self._environment(service, port), **local_aws(aws)},
            log=self.logs / f"{name}-{time.monotonic_ns()}.log",
        )

    def _environment(self, service: str, port: int) -> Mapping[str, str]:
        own = {
            "producer": {"CARIMBO_CALLBACK_ALLOW": "127.0.0.1"},
            "consumer": {
                "CARIMBO_MODELS": FAMILY,
                "CARIMBO_VISIBILITY": f"PT{VISIBILITY_SECONDS}S",
                "CARIMBO_MAX_ATTEMPTS": str(MAX_ATTEMPTS),
            },
            "callbacks": {
                "CARIMBO_CALLBACK_ALLOW": "127.0.0.1",
                "CARIMBO_CALLBACK_SECRETS": self.secret,
                "CARIMBO_CALLBACK_SCHEDULE": "0,1,1,2,2,4,4,8,8",
                "CARIMBO_VISIBILITY": f"PT{VISIBILITY_SECONDS}S",
            },
        }
        return {
            **inherited_environment(),
            "MLFLOW_TRACKING_URI": self.mlflow,
            "PYTHONUNBUFFERED": "1",
            "CARIMBO_QUEUE_PREFIX": PREFIX,
            "CARIMBO_BUCKET": BUCKET,
            "CARIMBO_HOST": "127.0.0.1",
            "CARIMBO_PORT": str(port),
            **own[service],
        }


@contextmanager
def foundations(state: Path, law: str | None) -> Iterator[System]:
    """Start the engine and MLflow; stop everything at the end of the block."""
    logs = state / "logs"
    engine = Engine(state / "engine", free_port(), logs / "engine.log")
    registry = RegistryServer(state / "mlflow", logs / "mlflow.log")
    system = System(engine, registry.url, logs, law)
    launched: list[Awaited] = []
    try:
        launched = [engine.launch(), registry.launch()]
        wait_until_ready(launched)
        yield system
    finally:
        for replica in system.replicas:
            replica.child.signal(signal.SIGCONT)
        children.stop([replica.child for replica in system.replicas])
        if engine.child is not None:
            engine.child.signal(signal.SIGCONT)
        children.stop([each.child for each in launched])
        registry.release()


def _bury(child: Child) -> None:
    child.wait(1.0)
    child.forget()


def _ready(port: int) -> str:
    return f"http://127.0.0.1:{port}/health/ready"


async def _is_ready(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(_ready(port), timeout=aiohttp.ClientTimeout(total=5)) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
