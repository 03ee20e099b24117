"""The only door to FastStream's private modules.

A custom broker is not a documented extension point, and patch releases have moved these names
before. Everything private that this package stands on is imported here and nowhere else, so that
an upgrade breaks in one file; ``tests/common/faststream_sqs/test_compat.py`` names what is
expected of each and fails clearly when FastStream changes it.
"""

from __future__ import annotations

from faststream._internal.broker import BrokerRouter, BrokerUsecase
from faststream._internal.broker.registrator import Registrator
from faststream._internal.configs import (
    BrokerConfig,
    PublisherSpecificationConfig,
    PublisherUsecaseConfig,
    SubscriberSpecificationConfig,
    SubscriberUsecaseConfig,
)
from faststream._internal.constants import EMPTY
from faststream._internal.di import FastDependsConfig
from faststream._internal.endpoint.publisher import PublisherSpecification, PublisherUsecase
from faststream._internal.endpoint.publisher.fake import FakePublisher
from faststream._internal.endpoint.subscriber import SubscriberSpecification, SubscriberUsecase
from faststream._internal.endpoint.subscriber.call_item import CallsCollection, HandlerItem
from faststream._internal.logger import LoggerState
from faststream._internal.producer import ProducerProto
from faststream._internal.testing.broker import TestBroker, change_producer
from faststream._internal.types import BrokerMiddleware, PublisherMiddleware

__all__ = (
    "EMPTY",
    "BrokerConfig",
    "BrokerMiddleware",
    "BrokerRouter",
    "BrokerUsecase",
    "CallsCollection",
    "FakePublisher",
    "FastDependsConfig",
    "HandlerItem",
    "LoggerState",
    "ProducerProto",
    "PublisherMiddleware",
    "PublisherSpecification",
    "PublisherSpecificationConfig",
    "PublisherUsecase",
    "PublisherUsecaseConfig",
    "Registrator",
    "SubscriberSpecification",
    "SubscriberSpecificationConfig",
    "SubscriberUsecase",
    "SubscriberUsecaseConfig",
    "TestBroker",
    "change_producer",
)
