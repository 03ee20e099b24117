"""What was promised is kept, what is decided stays decided, and nothing ends without an answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest

from common.aws import aws_client
from common.callbacks import CallbackOrder
from common.claims import Claims
from common.errors import PermanentError
from common.faststream_sqs import SQSBroker
from common.faststream_sqs.schemas import LAST_RESORT_RECEIVE_COUNT
from common.messages import (
    Accepted,
    Completed,
    Failed,
    FailureCode,
    Lapsed,
    PredictionReply,
    PredictionRequest,
)
from common.objects import ObjectStore
from common.registry import Registry
from common.topology import callbacks_queue, promise_key, requests_queue, result_key
from consumer.aliases import Aliases
from consumer.attempt import Attempt, UnsettledError
from consumer.deadline import Delivery
from consumer.handler import Predictions
from consumer.loading import Loader
from consumer.orders import CallbackOrders
from consumer.prediction import Predictor
from consumer.results import Results, failed
from consumer.settings import Settings
from consumer.version_cache import SpareRoom, VersionCache
from tests.consumer.conftest import Caller, Running
from tests.consumer.registering import TestRegistry
from tests.consumer.test_answers import _receive_and_forget, _remove_bucket
from tests.consumer.test_failures import POISON
from tests.consumer.tiny_models import request_of, train

JSON = "application/json"
URL = "https://receiver.example/labels"


@dataclass
class Broken:
    """Predictions whose predictor fails whenever it is asked, so that asking it shows."""

    predictions: Predictions
    store: ObjectStore
    told: list[PredictionReply] = field(default_factory=list)

    async def answer(
        self, request: PredictionRequest, *, count: int = 1, budget_ms: int | None = None
    ) -> None:
        """Handle one delivery of a request."""
        delivery = Delivery(
            sent_ms=0, first_received_ms=0, receive_count=count, received_at=time.monotonic()
        )
        await self.predictions.answer(request, Attempt(delivery, budget_ms, 5, self._tell))

    async def keep(self, key: str, body: object) -> None:
        """Store an object."""
        assert await self.store.put_once(key, msgspec.json.encode(body), JSON)

    async def _tell(self, body: bytes) -> None:
        self.told.append(msgspec.json.decode(body, type=PredictionReply))


@pytest.fixture
async def broken(registry: TestRegistry, settings: Settings, family: str) -> AsyncIterator[Broken]:
    registry.register(train(family, generation=1))
    predictor = Predictor(1)
    predictor.close()
    async with aws_client("s3", connections=2) as s3, Registry(settings.tracking_uri) as reader:
        store = ObjectStore(s3, settings.bucket)
        await store.ensure_bucket()
        cache = VersionCache(Loader(reader).load, SpareRoom(1, 0))
        aliases = Aliases(reader, cache, [family])
        orders = CallbackOrders(SQSBroker(), settings.queue_prefix)
        yield Broken(
            Predictions(aliases, cache, predictor, Results(store), orders, Claims(store)), store
        )
        await aliases.close()


@pytest.fixture
def request_to(family: str) -> PredictionRequest:
    return request_of(train(family, generation=1), str(uuid4()), fresh_id=True)


def accepted(request: PredictionRequest) -> Accepted:
    return Accepted(
        prediction_id=request.prediction_id,
        model=request.model,
        fingerprint=request.fingerprint,
        created=datetime.now(UTC),
    )


async def test_late_work_that_nobody_was_promised_is_given_up_for_good(
    broken: Broken, request_to: PredictionRequest
) -> None:
    await broken.answer(request_to, budget_ms=0)

    (told,) = broken.told
    assert isinstance(told, Failed)
    assert told.code == "expired"
    kept = await broken.store.get(promise_key(request_to.prediction_id))
    assert isinstance(msgspec.json.decode(kept or b"", type=Accepted | Lapsed), Lapsed)
    await broken.answer(request_to, budget_ms=0, count=2)
    assert broken.told == [told, told]


async def test_a_worker_that_died_after_giving_up_is_followed_by_one_that_gives_up_too(
    broken: Broken, request_to: PredictionRequest
) -> None:
    lapsed = Lapsed(
        prediction_id=request_to.prediction_id,
        model=request_to.model,
        fingerprint=request_to.fingerprint,
    )
    await broken.keep(promise_key(request_to.prediction_id), lapsed)

    await broken.answer(request_to, budget_ms=0, count=2)

    assert isinstance(broken.told[0], Failed)


async def test_a_late_second_delivery_does_not_give_up_what_the_first_may_have_told(
    broken: Broken, request_to: PredictionRequest
) -> None:
    """A new id's labels are told beside the store: they may be with the caller, and unstored."""
    with pytest.raises(RuntimeError):  # the broken predictor was asked
        await broken.answer(request_to, budget_ms=0, count=2)

    assert broken.told == []
    assert await broken.store.get(promise_key(request_to.prediction_id)) is None
    assert await broken.store.get(result_key(request_to.prediction_id)) is None


async def test_late_work_is_done_for_a_caller_that_was_told_to_come_back(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    request = request_of(model, str(uuid4()), fresh_id=True)

    async with running(settings) as parts:
        key = promise_key(request.prediction_id)
        await parts.store.put_once(key, msgspec.json.encode(accepted(request)), JSON)

        assert isinstance(await caller.ask(request, budget_ms=0), Completed)


@pytest.mark.parametrize("late", [True, False])
async def test_what_was_cancelled_before_it_began_is_never_begun(
    broken: Broken, request_to: PredictionRequest, *, late: bool
) -> None:
    cancelled = failed(request_to, FailureCode.CANCELLED, "Cancelled.")
    await broken.keep(result_key(request_to.prediction_id), cancelled)
    await broken.keep(promise_key(request_to.prediction_id), accepted(request_to))
    request = request_to if late else msgspec.structs.replace(request_to, keep=True)

    await broken.answer(request, budget_ms=0)

    assert broken.told == [cancelled]


async def test_a_request_whose_workers_all_died_is_buried_with_that_reason_and_told(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    request = request_of(model, str(uuid4()), fresh_id=True)
    few = settings.model_copy(update={"max_attempts": 2})

    async with running(few) as parts:
        await parts.broker.stop()
        asking = asyncio.create_task(caller.ask(request))
        await _receive_and_forget(caller)
        await _receive_and_forget(caller)
        await parts.broker.start()

        reply = await asking
        assert isinstance(reply, Failed)
        assert reply.code == "attempts-exhausted"
        assert await caller.when_stored(request.prediction_id) == reply
        await caller.when_empty()
        assert (await caller.bury_reason())["dead_letter_code"] == "attempts-exhausted"


async def test_a_request_that_was_answered_before_its_last_worker_died_is_no_dead_letter(
    broken: Broken, request_to: PredictionRequest
) -> None:
    done = Completed(
        prediction_id=request_to.prediction_id,
        model=request_to.model,
        version="1",
        fingerprint=request_to.fingerprint,
        rows_read=1,
        lines=[2],
        labels=["x"],
        confidences=[1.0],
    )
    await broken.keep(result_key(request_to.prediction_id), done)

    await broken.answer(request_to, count=6)

    assert broken.told == [done]


async def test_sqs_itself_never_buries_what_a_worker_could_still_answer_for(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    registry.register(train(family, generation=1))

    async with running(settings):
        name = requests_queue(settings.queue_prefix, family)
        url = (await caller.sqs.get_queue_url(QueueName=name))["QueueUrl"]
        found = await caller.sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=["RedrivePolicy"]
        )

    policy = json.loads(found["Attributes"]["RedrivePolicy"])
    assert int(policy["maxReceiveCount"]) == LAST_RESORT_RECEIVE_COUNT > settings.max_attempts + 1


async def test_nothing_is_buried_while_its_failure_cannot_be_told(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    """The last attempt, and the store is away: buried now, its client would wait for ever."""
    model = train(family, generation=1)
    registry.register(model)
    poison = POISON["a word where a date belongs"]
    request = request_of(model, str(uuid4()), rows=2, columns=poison)

    async with running(settings.model_copy(update={"max_attempts": 1})) as parts:
        await _remove_bucket(parts.store)
        await caller.send(request)
        await asyncio.sleep(0.5)
        assert await caller.waiting() == 1
        assert await caller.buried() == 0
        await parts.store.ensure_bucket()

        result = await caller.when_stored(request.prediction_id)
        assert isinstance(result, Failed)
        await caller.when_empty()
        assert await caller.buried() == 1


async def test_a_bug_on_the_last_attempt_waits_for_the_store_too(
    broken: Broken, request_to: PredictionRequest
) -> None:
    await _remove_bucket(broken.store)
    with pytest.raises(UnsettledError):
        await broken.answer(msgspec.structs.replace(request_to, version="1", alias=None), count=5)


async def test_a_failure_that_was_told_but_not_buried_is_buried_by_the_next_delivery(
    broken: Broken, request_to: PredictionRequest
) -> None:
    internal = failed(request_to, FailureCode.INTERNAL, "It did not work.")
    await broken.keep(result_key(request_to.prediction_id), internal)

    with pytest.raises(PermanentError) as caught:
        await broken.answer(request_to, count=2)

    assert caught.value.code == "internal"
    assert broken.told == [internal]


async def orders_in(caller: Caller) -> list[CallbackOrder]:
    url = (await caller.sqs.get_queue_url(QueueName=callbacks_queue(caller.prefix)))["QueueUrl"]
    answer = await caller.sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1
    )
    return [
        msgspec.json.decode(message["Body"], type=CallbackOrder)
        for message in answer.get("Messages", [])
    ]


async def test_whatever_becomes_of_a_prediction_its_callback_is_ordered_before_it_is_deleted(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    poison = POISON["a word where a date belongs"]
    good, bad, stopped, other = (str(uuid4()) for _ in range(4))

    async with running(settings) as parts:
        cancelled = request_of(model, stopped, keep=True, callback_url=URL)
        key = result_key(cancelled.prediction_id)
        end = failed(cancelled, FailureCode.CANCELLED, "Cancelled.")
        await parts.store.put_once(key, msgspec.json.encode(end), JSON)

        await caller.ask(request_of(model, good, keep=True, callback_url=URL))
        await caller.ask(request_of(model, bad, rows=2, columns=poison, callback_url=URL))
        await caller.ask(cancelled)
        await caller.ask(request_of(model, other, seed=1))
        await caller.ask(request_of(model, other, seed=2, callback_url=URL))
        await caller.when_empty()

    found = await orders_in(caller)
    assert {order.prediction_id for order in found} == {good, bad, stopped}
    assert {order.url for order in found} == {URL}


async def test_without_a_callback_none_is_ordered(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)

    async with running(settings):
        await caller.ask(request_of(model, str(uuid4())))

    with pytest.raises(caller.sqs.exceptions.QueueDoesNotExist):
        await orders_in(caller)
