"""More replicas beside the running system: queues of their own, and something in their way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
from prometheus_client.parser import text_string_to_metric_families

from client.local import children
from client.local.children import Child
from client.local.readiness import free_port, wait_until_ready
from client.local.services import Service, Surroundings

MODEL = "card-accounts"
STOP_SECONDS = 25.0


def own_names() -> dict[str, str]:
    """Settings that keep replicas apart from everybody else's queues and objects."""
    name = f"s{uuid4().hex[:10]}-"
    return {"CARIMBO_QUEUE_PREFIX": name, "CARIMBO_BUCKET": f"{name}results"}


def a_producer(**settings: str) -> Service:
    """One more producer."""
    settings = {"CARIMBO_LEAVE_NOTICE": "0", **settings}
    return Service(
        name=f"producer {uuid4().hex[:6]}", module="producer", port=free_port(), settings=settings
    )


def a_consumer(**settings: str) -> Service:
    """One more worker."""
    settings = {"CARIMBO_MODELS": MODEL, **settings}
    return Service(
        name=f"consumer {uuid4().hex[:6]}", module="consumer", port=free_port(), settings=settings
    )


@contextmanager
def running(surroundings: Surroundings, *services: Service) -> Iterator[list[Child]]:
    """The services as ready processes, until the block ends."""
    awaited = [service.launch(surroundings) for service in services]
    try:
        wait_until_ready(awaited)
        yield [each.child for each in awaited]
    finally:
        children.stop([each.child for each in awaited], STOP_SECONDS)


def predictions_url(producer: Service) -> str:
    """Where a producer takes files."""
    return f"http://127.0.0.1:{producer.port}/v1/models/{MODEL}/predictions"


def metric(service: Service, name: str, **labels: str) -> float:
    """The sum of a service's samples of that name that have these labels."""
    page = httpx.get(
        f"http://127.0.0.1:{service.port}/metrics", headers={"Accept": "text/plain"}, timeout=10
    )
    return sum(
        sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
