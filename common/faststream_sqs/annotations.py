"""Annotations that inject the broker and the message into a handler."""

from __future__ import annotations

from typing import Annotated

from faststream import Context
from faststream.annotations import ContextRepo, Logger

from common.faststream_sqs.broker.broker import SQSBroker as _Broker
from common.faststream_sqs.message import SQSMessage as _Message

__all__ = ("ContextRepo", "Logger", "SQSBroker", "SQSMessage")

SQSBroker = Annotated[_Broker, Context("broker")]
SQSMessage = Annotated[_Message, Context("message")]
