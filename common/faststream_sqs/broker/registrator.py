"""How handlers and publications are declared, on a broker and on its routers alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from faststream import AckPolicy

from common.faststream_sqs._compat import EMPTY, BrokerConfig, Registrator
from common.faststream_sqs.broker.config import SQSBrokerConfig
from common.faststream_sqs.publisher.factory import create_publisher
from common.faststream_sqs.publisher.usecase import SQSPublisher
from common.faststream_sqs.schemas import SQSQueue
from common.faststream_sqs.subscriber.config import ErrorReply
from common.faststream_sqs.subscriber.factory import create_subscriber
from common.faststream_sqs.subscriber.usecase import SQSSubscriber
from common.sqs import ReceivedMessage, Slots

if TYPE_CHECKING:
    from fast_depends.dependencies import Dependant

DEFAULT_MAX_WORKERS = 10


class SQSRegistrator(Registrator[ReceivedMessage, SQSBrokerConfig]):
    """What a broker and a router have in common."""

    def subscriber(  # type: ignore[override]  # noqa: PLR0913 - one argument a setting
        self,
        queue: str | SQSQueue,
        *,
        max_workers: int = DEFAULT_MAX_WORKERS,
        slots: Slots | None = None,
        ack_policy: AckPolicy = EMPTY,
        error_reply: ErrorReply | None = None,
        no_reply: bool = False,
        dependencies: Sequence[Dependant] = (),
        persistent: bool = True,
        title: str | None = None,
        description: str | None = None,
        include_in_schema: bool = True,
    ) -> SQSSubscriber:
        """Declare a handler of ``queue``; use the result as its decorator.

        The handler's annotation is what bodies are decoded to, strictly. At most ``max_workers``
        messages are taken on at once; ``slots`` instead shares one capacity among subscribers.
        The default ack policy retries with back-off and then buries (``verdict.py``).
        ``error_reply`` answers the caller of a request that failed for good.
        """
        subscriber = create_subscriber(
            queue=SQSQueue.of(queue),
            slots=slots or Slots(max_workers),
            ack_policy=ack_policy,
            no_reply=no_reply,
            error_reply=error_reply,
            title=title,
            description=description,
            include_in_schema=include_in_schema,
            config=cast("BrokerConfig", self.config),
        )
        super().subscriber(subscriber, persistent=persistent)
        subscriber.add_call(parser_=None, decoder_=None, dependencies_=dependencies)
        return subscriber

    def publisher(  # type: ignore[override]  # noqa: PLR0913
        self,
        queue: str,
        *,
        headers: dict[str, str] | None = None,
        schema: Any | None = None,
        persistent: bool = True,
        title: str | None = None,
        description: str | None = None,
        include_in_schema: bool = True,
    ) -> SQSPublisher:
        """Declare a queue that is sent to; as a decorator it sends each result of a handler.

        ``headers`` go with every message; ``schema`` is the body's type in the AsyncAPI document.
        """
        publisher = create_publisher(
            queue=queue,
            headers=headers or {},
            schema=schema,
            title=title,
            description=description,
            include_in_schema=include_in_schema,
            config=cast("BrokerConfig", self.config),
        )
        super().publisher(publisher, persistent=persistent)
        return publisher
