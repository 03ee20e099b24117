"""The whole system as processes of this machine: started in order, watched, stopped in order."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from client.errors import CommandError
from client.local import children
from client.local.children import Child
from client.local.engine import Engine
from client.local.readiness import Awaited, free_port, obituary, wait_until_ready
from client.local.registry_server import RegistryServer
from client.local.services import Service, Surroundings

RESTARTS = 3
"""How often one service may end by itself before the whole system is stopped."""

SERVICE_STOP_SECONDS = 25.0
"""A consumer's drain takes up to 20 s."""

Say = Callable[[str], None]


@dataclass(slots=True)
class _Running:
    service: Service
    child: Child
    restarts: int = 0


class LocalSystem:
    """``state`` keeps models and logs; ``say`` tells a person about progress."""

    def __init__(self, state: Path, *, traces: str, say: Say) -> None:
        logs = state / "logs"
        self.say = say
        self._engine = Engine(state / "engine", free_port(), logs / "engine.log")
        self._registry = RegistryServer(state / "mlflow", logs / "mlflow.log")
        self._registry_child: Child | None = None
        self._services: list[_Running] = []
        self._tasks: list[Child] = []
        self.surroundings = Surroundings(
            engine=self._engine.url, mlflow=self._registry.url, traces=traces, logs=logs
        )

    def start_foundations(self) -> None:
        """Start the engine and MLflow side by side, and wait for both.

        Raises:
            CommandError: one of them did not start.
        """
        self.say("starting the engine (SQS and S3) and MLflow (takes some 15 s)")
        engine = self._engine.launch()
        registry = self._registry.launch()
        self._registry_child = registry.child
        wait_until_ready([engine, registry], self._say_ready)

    def run_task(self, task: Child) -> None:
        """Wait for a command that does something and ends.

        Raises:
            CommandError: it failed.
        """
        self._tasks.append(task)
        while task.wait(timeout_seconds=10.0) is None:
            self.say(f"{task.name} goes on: {task.tail(lines=1)}")
        if task.exit_code != 0:
            raise CommandError(obituary(task))
        task.forget()
        self._tasks.remove(task)

    def start_services(self, services: Sequence[Service]) -> None:
        """Start services side by side, and wait until each is ready.

        Raises:
            CommandError: one of them did not start.
        """
        self.say("starting " + ", ".join(service.name for service in services))
        wait_until_ready([self._launch(service) for service in services], self._say_ready)

    def mend(self) -> None:
        """Start again what ended by itself, within a bound.

        Raises:
            CommandError: something ended that the system cannot go on without.
        """
        for foundation in (self._engine.child, self._registry_child):
            if foundation is not None and foundation.exit_code is not None:
                raise CommandError(obituary(foundation))
        for running in self._services:
            if running.child.exit_code is None:
                continue
            children.stop([running.child])
            if running.restarts == RESTARTS:
                raise CommandError(
                    f"{obituary(running.child)}\nIt was started again {RESTARTS} times already."
                )
            self.say(f"{obituary(running.child)}\nStarting it again.")
            running.restarts += 1
            running.child = running.service.launch(self.surroundings).child

    def pid_of(self, service: Service) -> int:
        """The process id of a started service, which is also the id of its group."""
        return next(each.child.pid for each in self._services if each.service == service)

    @property
    def engine_pid(self) -> int:
        """The engine's process id, for whoever measures its share."""
        return self._engine.pid

    def stop(self) -> None:
        """Stop everything: what takes requests first, what keeps them last."""
        self._stop_services("producer")
        self._stop_services("consumer")
        self._stop_services("callbacks")
        children.stop(self._tasks)
        if self._registry_child is not None:
            children.stop([self._registry_child])
        self._registry.release()
        self._engine.stop()

    def kill(self) -> None:
        """Stop waiting for anybody to finish."""
        for child in self._children():
            child.signal(signal.SIGKILL)

    def _launch(self, service: Service) -> Awaited:
        awaited = service.launch(self.surroundings)
        self._services.append(_Running(service, awaited.child))
        return awaited

    def _stop_services(self, module: str) -> None:
        stopping = [each.child for each in self._services if each.service.module == module]
        children.stop(stopping, SERVICE_STOP_SECONDS)

    def _children(self) -> Iterable[Child]:
        found = [running.child for running in self._services] + self._tasks
        foundations = (self._registry_child, self._engine.child)
        return [*found, *(child for child in foundations if child is not None)]

    def _say_ready(self, awaited: Awaited) -> None:
        self.say(f"{awaited.child.name} ready")
