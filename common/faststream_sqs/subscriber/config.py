"""What a subscriber is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from faststream import AckPolicy

from common.faststream_sqs._compat import (
    EMPTY,
    SubscriberSpecificationConfig,
    SubscriberUsecaseConfig,
)
from common.faststream_sqs.message import SQSMessage
from common.faststream_sqs.schemas import SQSQueue
from common.sqs import Slots

ErrorReply = Callable[[Exception, SQSMessage], Any | Awaitable[Any]]
"""Makes the answer to a caller whose request failed for good; ``None`` sends none. May be async."""


@dataclass(kw_only=True)
class SQSSubscriberSpecificationConfig(SubscriberSpecificationConfig):
    """How the AsyncAPI document shows a subscriber."""

    queue: str


@dataclass(kw_only=True)
class SQSSubscriberConfig(SubscriberUsecaseConfig):
    """The queue that a subscriber reads, and how much of it at once."""

    queue: SQSQueue
    slots: Slots
    error_reply: ErrorReply | None

    @property
    def ack_policy(self) -> AckPolicy:
        """The subscriber's policy, else its router's or broker's, else ``NACK_ON_ERROR``."""
        for policy in (self._ack_policy, self._outer_config.ack_policy):
            if policy is not EMPTY:
                return policy
        return AckPolicy.NACK_ON_ERROR
