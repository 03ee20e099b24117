"""What a publisher is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from common.faststream_sqs._compat import PublisherSpecificationConfig, PublisherUsecaseConfig


@dataclass(kw_only=True)
class SQSPublisherSpecificationConfig(PublisherSpecificationConfig):
    """How the AsyncAPI document shows a publisher."""

    queue: str


@dataclass(kw_only=True)
class SQSPublisherConfig(PublisherUsecaseConfig):
    """Where a publisher sends to, and the headers that each of its messages carries."""

    queue: str
    headers: dict[str, str] = field(default_factory=dict)
