"""Puts a publisher together from what an application says about it."""

from __future__ import annotations

from typing import Any

from common.faststream_sqs._compat import BrokerConfig
from common.faststream_sqs.publisher.config import (
    SQSPublisherConfig,
    SQSPublisherSpecificationConfig,
)
from common.faststream_sqs.publisher.specification import SQSPublisherSpecification
from common.faststream_sqs.publisher.usecase import SQSPublisher


def create_publisher(  # noqa: PLR0913 - one argument a setting
    *,
    queue: str,
    headers: dict[str, str],
    schema: Any | None,
    title: str | None,
    description: str | None,
    include_in_schema: bool,
    config: BrokerConfig,
) -> SQSPublisher:
    """Return a publisher; it sends once its broker is connected."""
    return SQSPublisher(
        SQSPublisherConfig(queue=queue, headers=headers, _outer_config=config),
        SQSPublisherSpecification(
            config,
            SQSPublisherSpecificationConfig(
                queue=queue,
                schema_=schema,
                title_=title,
                description_=description,
                include_in_schema=include_in_schema,
            ),
        ),
    )
