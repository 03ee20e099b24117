"""Builds the producer from its settings, starts what runs beside the requests, and stops it all."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog
from opentelemetry.sdk.trace import TracerProvider

from common.aws import aws_client
from common.claims import Claims, sweep_claims
from common.errors import CarimboError
from common.faststream_sqs import SQSBroker
from common.faststream_sqs.opentelemetry import SQSTelemetryMiddleware
from common.faststream_sqs.prometheus import SQSPrometheusMiddleware
from common.objects import ObjectStore
from common.registry import Registry
from common.sqs import LONG_POLL_SECONDS, sending_client, sweep_reply_queues
from common.tables import Limits
from common.topology import CLAIM_DAYS, CLAIMS_PREFIX, KEPT_PREFIXES
from producer.answering import Answers
from producer.app import build_app
from producer.background import Background, watch_loop_lag
from producer.canaries import Canaries
from producer.catalogue import Catalogue
from producer.dispatch import Dispatch
from producer.doorkeeper import Doorkeeper
from producer.edge import Edge
from producer.following import Followers
from producer.health import Check
from producer.idempotency import Keys
from producer.large_files import LargeFiles
from producer.metrics import Metrics
from producer.parts import Parts
from producer.queues import RequestQueues
from producer.reading import FileReader
from producer.records import Records
from producer.service import PredictionService
from producer.settings import Settings
from producer.shadows import Shadows
from producer.stored import StoredPredictions
from producer.waits import Admission

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

STORE_CONNECTIONS = 16
CARE_CONNECTIONS = 2
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0
SWEEP_SECONDS = 60.0
CLAIMS_SWEEP_SECONDS = 600.0
"""At most; more often where the grace is shorter."""
DEAF_SECONDS = LONG_POLL_SECONDS + 20.0
"""A poll of the reply queue ends within its length: so long without an end, and it is dead."""

log = structlog.get_logger("producer")


@dataclass(slots=True)
class Producer:
    """A running producer: ``app`` answers HTTP; ``stopping`` makes it unready and ends long polls.

    ``service`` may still write something down when the last request is answered.
    """

    app: Edge
    broker: SQSBroker
    store: ObjectStore
    catalogue: Catalogue
    queues: RequestQueues
    service: PredictionService
    admission: Admission
    background: Background
    canaries: Canaries
    started: bool = False
    stopping: bool = False


@asynccontextmanager
async def running_producer(
    settings: Settings,
    tracing: TracerProvider,
    on_failure: Callable[[], None] = lambda: None,
) -> AsyncIterator[Producer]:
    """A producer whose start goes on in the background, until the block ends.

    ``on_failure`` is called when a task beside the requests fails for good: the process must stop.
    On the way out: no more background work, then the broker flushes and deletes its reply queue.
    """
    large = LargeFiles()
    most = settings.max_upload_bytes
    reader = FileReader(large, Limits(unpacked_bytes=most, rows=settings.max_rows))
    async with (
        aws_client("s3", connections=STORE_CONNECTIONS) as objects,
        sending_client(connections=CARE_CONNECTIONS) as care,
        Registry(settings.tracking_uri) as registry,
    ):
        metrics = Metrics()
        producer = _build(
            settings,
            tracing,
            metrics,
            reader,
            large,
            store=ObjectStore(objects, settings.bucket),
            registry=registry,
            queues=RequestQueues(care, settings.queue_prefix),
            background=Background(lambda _: on_failure()),
        )
        background = producer.background
        background.start("start", _start_and_follow(producer, settings))
        background.start("canaries", producer.canaries.tell())
        background.start("sweeper", _sweep(care, settings.queue_prefix))
        background.start("claims", _sweep_claims(producer.store, settings.claim_grace))
        background.start("queue lengths", producer.admission.follow_queues())
        background.start("loop lag", watch_loop_lag(partial(_feel, producer, metrics)))
        try:
            yield producer
        finally:
            producer.stopping = True
            await background.stop()
            await producer.service.finish()
            await producer.broker.stop()
            await asyncio.to_thread(reader.close)


def _build(  # noqa: PLR0913 - the composition root names every part
    settings: Settings,
    tracing: TracerProvider,
    metrics: Metrics,
    reader: FileReader,
    large: LargeFiles,
    *,
    store: ObjectStore,
    registry: Registry,
    queues: RequestQueues,
    background: Background,
) -> Producer:
    claims = Claims(store)
    answers = Answers(store, large)
    broker = SQSBroker(
        message_limit_bytes=settings.message_limit_bytes,
        lighten=claims.lighten,
        reply_prefix=settings.queue_prefix,
        replies_at_start=True,
        middlewares=[
            SQSTelemetryMiddleware(tracer_provider=tracing),
            SQSPrometheusMiddleware(registry=metrics.registry, app_name="carimbo-producer"),
        ],
    )
    catalogue = Catalogue(
        registry,
        refreshed=metrics.catalogue_time.set_to_current_time,
        tag_ignored=lambda model, tag: metrics.routing_tags_ignored.labels(model, tag).inc(),
    )
    canaries = Canaries(catalogue, registry, metrics)
    tracer = tracing.get_tracer("carimbo.producer")
    records = Records(store)
    dispatch = Dispatch(broker, records, queues, settings.queue_prefix)
    followers = Followers(
        records, dispatch, most=settings.max_in_flight, is_leaving=lambda: producer.stopping
    )
    admission = Admission(
        queues,
        metrics,
        most_in_flight=settings.max_in_flight,
        most_queued=settings.max_queued,
    )
    service = PredictionService(
        catalogue=catalogue,
        reader=reader,
        dispatch=dispatch,
        records=records,
        keys=Keys(store),
        claims=claims,
        large=large,
        answers=answers,
        followers=followers,
        admission=admission,
        canaries=canaries,
        shadows=Shadows(broker, catalogue, metrics, settings.queue_prefix),
        callbacks=settings.callback_policy,
        metrics=metrics,
        tracer=tracer,
        max_upload_bytes=settings.max_upload_bytes,
    )
    checks: dict[str, Check] = {}
    stored = StoredPredictions(records, followers, answers, admission.retry_seconds)
    parts = Parts(service, stored, catalogue, metrics, checks, settings.default_wait)
    producer = Producer(
        app=Edge(
            build_app(parts),
            tracer,
            Doorkeeper(admission, catalogue, metrics, settings.default_wait),
            lambda: producer.stopping,
        ),
        broker=broker,
        store=store,
        catalogue=catalogue,
        queues=queues,
        service=service,
        admission=admission,
        background=background,
        canaries=canaries,
    )
    checks.update(_checks(producer))
    return producer


def _checks(producer: Producer) -> dict[str, Check]:
    """What a replica needs in order to serve; see ``health.Check``."""

    async def process() -> str | None:
        if producer.background.failed:
            return f"the task {producer.background.failed!r} failed"
        if producer.stopping:
            return "stopping"
        return None if producer.started else "starting"

    async def replies() -> str | None:
        silent = producer.broker.seconds_since_receive
        return None if silent < DEAF_SECONDS else f"no poll has ended for {silent:.0f} s"

    async def queues() -> str | None:
        return None if await producer.broker.ping() else "SQS does not answer"

    async def objects() -> str | None:
        try:
            await producer.store.ping()
        except CarimboError as error:
            return error.message
        return None

    async def registry() -> str | None:
        return None if producer.catalogue.loaded else "the registry has not answered yet"

    return {
        "process": process,
        "replies": replies,
        "queues": queues,
        "objects": objects,
        "registry": registry,
    }


async def _start_and_follow(producer: Producer, settings: Settings) -> None:
    """Start each part once what it needs is there, then follow the registry for ever."""
    began = time.monotonic()

    async def look() -> None:
        await producer.catalogue.refresh()
        await producer.queues.ensure(producer.catalogue.models)

    async def bucket() -> None:
        await producer.store.ensure_bucket()
        await producer.store.expire(KEPT_PREFIXES, days=settings.keep_results)
        await producer.store.expire((CLAIMS_PREFIX,), days=CLAIM_DAYS)

    await _until(producer.broker.start, "queues")
    await _until(bucket, "objects")
    await _until(look, "registry")
    producer.started = True
    log.info(
        "ready",
        models=sorted(producer.catalogue.models),
        seconds=round(time.monotonic() - began, 3),
    )
    while True:
        await asyncio.sleep(settings.registry_refresh.total_seconds())
        await _until(look, "registry")


def _feel(producer: Producer, metrics: Metrics, late_seconds: float) -> None:
    metrics.loop_lag.set(late_seconds)
    producer.admission.pulse.felt(late_seconds)


async def _until(act: Callable[[], Awaitable[None]], part: str) -> None:
    """Do ``act`` until the part it needs is there, with longer and longer pauses."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await act()
        except CarimboError as error:
            # Even a refusal is worth another try: somebody may mend what it complains of.
            log.warning("a part cannot be used; trying again", part=part, reason=error.message)
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


async def _sweep(client: SQSClient, prefix: str) -> None:
    """Delete dead replicas' reply queues about once a minute, not in step with other replicas."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
        try:
            await sweep_reply_queues(client, prefix, time.time())
        except CarimboError as error:
            log.warning("reply queues not swept; trying again in a minute", reason=error.message)


async def _sweep_claims(store: ObjectStore, grace: timedelta) -> None:
    """Remove the rows of predictions that have ended, not in step with other replicas."""
    pause = max(1.0, min(CLAIMS_SWEEP_SECONDS, grace.total_seconds() / 4))
    while True:
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
        try:
            await sweep_claims(store, grace)
        except CarimboError as error:
            log.warning("claims not swept; trying again later", reason=error.message)
