from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from common.aws import aws_client
from common.claims import Claims
from common.errors import PermanentError, TransientError
from common.faststream_sqs import SQSBroker
from common.messages import Completed, Failed
from common.objects import ObjectStore
from common.registry import Registry
from consumer.aliases import Aliases
from consumer.attempt import Attempt, back_off_seconds
from consumer.deadline import Delivery
from consumer.handler import Predictions
from consumer.loading import Loader
from consumer.orders import CallbackOrders
from consumer.prediction import Predictor
from consumer.results import Results
from consumer.settings import Settings
from consumer.version_cache import SpareRoom, VersionCache
from tests.consumer.conftest import Caller, Running
from tests.consumer.registering import TestRegistry
from tests.consumer.tiny_models import request_of, train

CANARY = "canary"


def columns(**changes: Any) -> msgspec.Raw:
    found: dict[str, Any] = {
        "weight": ["1.5", "2.5"],
        "sent": ["2024-01-01", "2024-01-02"],
        "carrier": ["barge", "barge"],
    }
    return msgspec.Raw(msgspec.json.encode({**found, **changes}))


POISON = {
    "a cell of another type": columns(weight=["1.5", {"secret": CANARY}]),
    "a word where a date belongs": columns(sent=["2024-01-01", CANARY]),
    "a missing cell where the contract has none": columns(carrier=["barge", None]),
    "a shorter column": columns(weight=["1.5"]),
    "a longer column": columns(carrier=["barge", "barge", CANARY]),
    "a missing column": msgspec.Raw(msgspec.json.encode({"weight": ["1.5", "2.5"]})),
    "an unknown column": columns(holder=[CANARY, CANARY]),
    "no object at all": msgspec.Raw(b"[]"),
}


@pytest.mark.parametrize("what", POISON)
async def test_columns_that_are_not_the_contracts_are_refused_without_quoting_them(
    what: str, registry: TestRegistry, family: str, registry_url: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    async with Registry(registry_url) as reader:
        served = await Loader(reader).load(family, "1")
    request = request_of(model, str(uuid4()), rows=2, columns=POISON[what])

    with pytest.raises(PermanentError) as caught:
        served.decode(request)

    assert caught.value.code == "unprocessable"
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_poisonous_request_is_answered_kept_and_buried_with_its_reason(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    model = train(family, generation=1)
    registry.register(model)
    poison = POISON["a word where a date belongs"]
    request = request_of(model, str(uuid4()), rows=2, columns=poison, fresh_id=True)

    async with running(settings):
        reply = await caller.ask(request)

        assert isinstance(reply, Failed)
        assert reply.code == "unprocessable"
        assert await caller.when_stored(request.prediction_id) == reply
        await caller.when_empty()
        headers = await caller.bury_reason()
        assert headers["dead_letter_code"] == "unprocessable"
        assert headers["dead_letter_reason"] == reply.message


async def test_a_request_read_by_another_contract_is_refused(
    registry: TestRegistry, running: Running, caller: Caller, settings: Settings, family: str
) -> None:
    registry.register(train(family, generation=1))
    other = train(family, generation=1, title="Parcels, read otherwise")

    async with running(settings):
        reply = await caller.ask(request_of(other, str(uuid4())))

        assert isinstance(reply, Failed)
        assert reply.code == "contract-mismatch"


@pytest.mark.parametrize("wanted", [{"version": "99"}, {"alias": "nobody"}])
async def test_a_version_that_does_not_exist_is_an_answer_and_no_dead_letter(
    wanted: dict[str, str],
    registry: TestRegistry,
    running: Running,
    caller: Caller,
    settings: Settings,
) -> None:
    model = train(caller.family, generation=1)
    registry.register(model)
    request = request_of(model, str(uuid4()), **wanted)  # type: ignore[arg-type]

    async with running(settings):
        reply = await caller.ask(request)

        assert isinstance(reply, Failed)
        assert reply.code == "unknown-version"
        await caller.when_empty()
        assert await caller.buried() == 0


async def test_a_bug_is_retried_until_the_last_attempt_tells_the_caller(
    registry: TestRegistry, settings: Settings, family: str
) -> None:
    """A predictor whose threads are gone stands for any bug: it raises a bare RuntimeError."""
    model = train(family, generation=1)
    registry.register(model)
    request = request_of(model, str(uuid4()))
    told: list[bytes] = []

    async def tell(body: bytes) -> None:
        told.append(body)

    async with (
        aws_client("s3", connections=2) as s3,
        Registry(settings.tracking_uri) as reader,
    ):
        store = ObjectStore(s3, settings.bucket)
        await store.ensure_bucket()
        predictions = _with_a_bug(reader, store, family)

        with pytest.raises(RuntimeError):
            await predictions.answer(request, _attempt(tell, count=1))
        assert told == []
        with pytest.raises(RuntimeError):
            await predictions.answer(request, _attempt(tell, count=5))

    reply = msgspec.json.decode(told[0], type=Completed | Failed)
    assert isinstance(reply, Failed)
    assert reply.code == "internal"
    assert "thread" not in reply.message


async def test_what_may_pass_is_tried_again_later_each_time(
    registry_url: str, aws_environment: dict[str, str], family: str
) -> None:
    """A bucket that does not exist: the message must neither be deleted nor buried."""
    assert aws_environment
    request = request_of(train(family, generation=1), str(uuid4()))

    async def tell(body: bytes) -> None:
        raise AssertionError(body)

    async with aws_client("s3", connections=2) as s3, Registry(registry_url) as reader:
        predictions = _with_a_bug(reader, ObjectStore(s3, "no-such-bucket"), family)
        with pytest.raises(TransientError) as caught:
            await predictions.answer(request, _attempt(tell, count=3))

    assert caught.value.delay_seconds == back_off_seconds(3)


def test_the_back_off_grows_fourfold_up_to_five_minutes() -> None:
    assert [back_off_seconds(count) for count in (1, 2, 3, 4, 5, 6, 500)] == [
        1,
        4,
        16,
        64,
        256,
        300,
        300,
    ]


def _with_a_bug(reader: Registry, store: ObjectStore, family: str) -> Predictions:
    predictor = Predictor(1)
    predictor.close()
    cache = VersionCache(Loader(reader).load, SpareRoom(1, 0))
    orders = CallbackOrders(SQSBroker(), "no-")  # nothing here asks for a callback
    return Predictions(
        Aliases(reader, cache, [family]), cache, predictor, Results(store), orders, Claims(store)
    )


def _attempt(tell: Any, *, count: int, attempts: int = 5) -> Attempt:
    delivery = Delivery(
        sent_ms=0, first_received_ms=0, receive_count=count, received_at=time.monotonic()
    )
    return Attempt(delivery=delivery, budget_ms=None, attempts=attempts, tell=tell)
