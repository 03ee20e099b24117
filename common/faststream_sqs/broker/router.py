"""Handlers declared apart from the broker that will run them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from faststream import AckPolicy

from common.faststream_sqs._compat import EMPTY, BrokerMiddleware, BrokerRouter
from common.faststream_sqs.broker.config import SQSBrokerConfig
from common.faststream_sqs.broker.registrator import SQSRegistrator
from common.sqs import ReceivedMessage

if TYPE_CHECKING:
    from fast_depends.dependencies import Dependant


class SQSRouter(SQSRegistrator, BrokerRouter[ReceivedMessage, SQSBrokerConfig]):
    """Collects subscribers and publishers for ``broker.include_router``.

    ``prefix`` goes before the name of each of its queues (not of their dead-letter queues).
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        dependencies: Sequence[Dependant] = (),
        middlewares: Sequence[BrokerMiddleware[Any, Any]] = (),
        routers: Sequence[SQSRegistrator] = (),
        ack_policy: AckPolicy = EMPTY,
    ) -> None:
        super().__init__(
            handlers=(),
            config=SQSBrokerConfig(
                prefix=prefix,
                ack_policy=ack_policy,
                broker_dependencies=dependencies,
                broker_middlewares=middlewares,
            ),
            routers=routers,
        )
