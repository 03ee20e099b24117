"""Puts the service together: every part made once, closed in the reverse order."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from faststream.asgi import AsgiFastStream

from callbacks.deliveries import Deliveries
from callbacks.health import Health
from callbacks.hosts import HostTurns
from callbacks.names import SystemNames
from callbacks.posting import Poster
from callbacks.schedule import Schedule
from callbacks.settings import Settings
from callbacks.subscription import subscribe
from common.aws import aws_client
from common.errors import TransientError
from common.faststream_sqs import SQSBroker
from common.faststream_sqs.opentelemetry import SQSTelemetryMiddleware
from common.objects import ObjectStore

POLL_SECONDS = 2
"""A stop waits this long for an idle queue; its empty polls cost about half a dollar a month."""


@dataclass(frozen=True, slots=True)
class Deliverer:
    """The parts that the life of the process needs to hold."""

    app: AsgiFastStream
    broker: SQSBroker
    store: ObjectStore
    health: Health


@asynccontextmanager
async def deliverer(settings: Settings) -> AsyncIterator[Deliverer]:
    """The service with nothing started: no queue is read."""
    async with AsyncExitStack() as parts:
        # Every callback in hand may read or write its log at the same time.
        client = await parts.enter_async_context(
            aws_client("s3", connections=settings.callback_max_in_flight + 1)
        )
        store = ObjectStore(client, settings.bucket)
        names = SystemNames(threads=settings.callback_max_in_flight)
        parts.callback(names.close)
        broker = SQSBroker(
            wait_seconds=POLL_SECONDS,
            graceful_timeout=settings.drain.total_seconds(),
            middlewares=(SQSTelemetryMiddleware(),),
        )
        deliveries = Deliveries(
            store=store,
            poster=Poster(settings.policy, names.look_up, ssl.create_default_context()),
            schedule=Schedule(settings.callback_schedule),
            secrets=settings.callback_secrets,
            hosts=HostTurns(settings.callback_per_host),
        )
        subscribe(broker, deliveries, settings)
        health = Health(
            pings={"queue service": lambda: _ping(broker), "object store": store.ping},
            idle_seconds=lambda: broker.seconds_since_receive,
        )
        app = AsgiFastStream(
            broker, asgi_routes=health.routes(), asyncapi_path="/asyncapi", logger=None
        )
        yield Deliverer(app, broker, store, health)


async def _ping(broker: SQSBroker) -> None:
    if not await broker.ping():
        raise TransientError("sqs-unavailable", "it does not answer, or is not connected yet")
