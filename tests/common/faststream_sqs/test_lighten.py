"""A message goes as it is up to the limit, attributes included, and lightened one byte above."""

from __future__ import annotations

import msgspec
import pytest

from common.faststream_sqs import SQSQueue
from common.sqs import MessageTooLarge
from common.sqs.limits import MESSAGE_LIMIT_BYTES, SMALLEST_MESSAGE_LIMIT_BYTES
from tests.common.faststream_sqs.bodies import Ask
from tests.common.faststream_sqs.conftest import MakeBroker, Queues

LIMITS = (SMALLEST_MESSAGE_LIMIT_BYTES, MESSAGE_LIMIT_BYTES)
LIGHTER = Ask(number=0, text="it is elsewhere")


async def lighten(body: object) -> object | None:
    return LIGHTER if isinstance(body, Ask) else None


async def text_that_fills(queues: Queues, make_broker: MakeBroker, name: str, limit: int) -> str:
    """The text whose message has exactly ``limit`` bytes, counted on one as the queue has it."""
    broker = make_broker()
    await broker.connect()
    await broker.publish(Ask(number=1, text=""), name, correlation_id="c")
    url = await queues.url(name)
    answer = await queues.client.receive_message(
        QueueUrl=url, WaitTimeSeconds=5, MessageAttributeNames=["All"]
    )
    sent = answer["Messages"][0]
    await queues.client.delete_message(QueueUrl=url, ReceiptHandle=sent["ReceiptHandle"])
    attributes = sent["MessageAttributes"]
    assert attributes
    size = len(sent["Body"]) + sum(
        len(name) + len(attribute["DataType"]) + len(attribute["StringValue"])
        for name, attribute in attributes.items()
    )
    return "x" * (limit - size)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize(("more", "is_lightened"), [(-1, False), (0, False), (1, True)])
async def test_only_what_does_not_fit_is_lightened(  # noqa: PLR0913 - fixtures
    limit: int,
    more: int,
    make_broker: MakeBroker,
    requests: SQSQueue,
    queues: Queues,
    *,
    is_lightened: bool,
) -> None:
    broker = make_broker(message_limit_bytes=limit, lighten=lighten)
    broker.subscriber(requests)(_ignore)
    await broker.start()
    await broker.stop()
    text = await text_that_fills(queues, make_broker, requests.name, limit)
    asked = Ask(number=1, text=text + "x" if more > 0 else text[: len(text) + more])

    await broker.connect()
    await broker.publish(asked, requests.name, correlation_id="c")

    sent = await queues.take(requests.name)
    assert msgspec.json.decode(sent.body, type=Ask) == (LIGHTER if is_lightened else asked)


async def test_what_cannot_be_made_lighter_is_refused(
    make_broker: MakeBroker, requests: SQSQueue
) -> None:
    broker = make_broker(message_limit_bytes=SMALLEST_MESSAGE_LIMIT_BYTES, lighten=lighten)
    broker.subscriber(requests)(_ignore)
    await broker.start()
    with pytest.raises(MessageTooLarge):
        await broker.publish(b"x" * (SMALLEST_MESSAGE_LIMIT_BYTES + 1), requests.name)


async def _ignore(ask: Ask) -> None:
    """Take nothing: the test looks at the queue itself."""
