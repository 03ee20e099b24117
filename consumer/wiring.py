"""Puts a worker together: every part made once, closed in the reverse order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from faststream.asgi import AsgiFastStream

from common.aws import aws_client
from common.claims import Claims
from common.errors import TransientError
from common.faststream_sqs import SQSBroker
from common.faststream_sqs.opentelemetry import SQSTelemetryMiddleware
from common.objects import ObjectStore
from common.registry import Registry
from common.registry.routing import version_in_shadow, versions_in_use
from consumer.aliases import Aliases
from consumer.handler import Predictions
from consumer.health import Health
from consumer.loading import Loader
from consumer.orders import CallbackOrders
from consumer.prediction import Predictor
from consumer.results import Results
from consumer.settings import Settings
from consumer.shadowing import Shadowing
from consumer.subscriptions import Answers, subscribe
from consumer.version_cache import SpareRoom, VersionCache

POLL_SECONDS = 2
"""A stop waits this long for an idle queue; its empty polls cost about half a dollar a month."""


@dataclass(frozen=True, slots=True)
class Worker:
    """The parts that the life of the process needs to hold."""

    app: AsgiFastStream
    broker: SQSBroker
    store: ObjectStore
    aliases: Aliases
    health: Health


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[Worker]:
    """A worker with nothing started: no queue is read, no model loaded."""
    async with AsyncExitStack() as parts:
        # Every request in hand may read or write a result at the same time.
        client = await parts.enter_async_context(
            aws_client("s3", connections=settings.max_in_flight + 1)
        )
        store = ObjectStore(client, settings.bucket)
        registry = await parts.enter_async_context(Registry(settings.tracking_uri))
        loader = Loader(registry)
        parts.callback(loader.close)
        cache = VersionCache(loader.load, SpareRoom(settings.spare_versions, settings.spare_bytes))
        parts.push_async_callback(cache.close)
        aliases = Aliases(
            registry,
            cache,
            settings.models,
            in_use=version_in_shadow if settings.shadow else versions_in_use,
            may_be_idle=settings.shadow,
        )
        parts.push_async_callback(aliases.close)
        predictor = Predictor(settings.threads)
        parts.callback(predictor.close)
        broker = SQSBroker(
            wait_seconds=POLL_SECONDS,
            apply_types=False,  # the codec has typed the message already
            graceful_timeout=settings.drain.total_seconds(),
            message_limit_bytes=settings.message_limit_bytes,
            middlewares=(SQSTelemetryMiddleware(),),
        )
        orders = CallbackOrders(broker, settings.queue_prefix)
        served = Predictions(aliases, cache, predictor, Results(store), orders, Claims(store))
        looked_on = Shadowing(cache, predictor, store)
        answers: Answers = looked_on if settings.shadow else served
        subscribe(broker, answers, settings)
        health = Health(
            aliases=aliases,
            pings={"queue service": lambda: _ping(broker), "object store": store.ping},
            idle_seconds=lambda: broker.seconds_since_receive,
        )
        app = AsgiFastStream(
            broker, asgi_routes=health.routes(), asyncapi_path="/asyncapi", logger=None
        )
        yield Worker(app, broker, store, aliases, health)


async def _ping(broker: SQSBroker) -> None:
    if not await broker.ping():
        raise TransientError("sqs-unavailable", "it does not answer, or is not connected yet")
