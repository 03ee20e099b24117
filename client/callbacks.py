"""``carimbo callbacks``: what became of a callback, deliver it again, those that were given up."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import msgspec
from rich.table import Table
from rich.text import Text

from client.errors import CommandError
from client.installation import Installation, find_installation
from client.screen import make_console
from common.aws import aws_client
from common.callbacks.log import DeliveryLog
from common.callbacks.orders import CallbackAttempt, CallbackOrder
from common.deadletters import Browse, DeadLetter
from common.errors import CarimboError
from common.messages import PredictionId
from common.objects import ObjectStore
from common.sqs import (
    OutgoingMessage,
    QueueUrls,
    Sender,
    receiving_client,
    sending_client,
)
from common.topology import callbacks_dead_letter_queue, callbacks_queue

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

LISTED = 100
JSON_HEADERS = {"content_type": "application/json"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DeadCallback:
    """A callback that was given up. ``order`` is None when its message cannot be read."""

    letter: DeadLetter
    order: CallbackOrder | None


@dataclass(frozen=True, slots=True)
class CallbackDesk:
    """One installation's callbacks."""

    log: DeliveryLog
    client: SQSClient
    receiver: SQSClient
    queue_prefix: str

    async def attempts(self, prediction_id: PredictionId) -> list[CallbackAttempt]:
        """The delivery log.

        Raises:
            CommandError: no callback of the prediction was ever ordered.
        """
        await self._url(prediction_id)
        return await self.log.read(prediction_id)

    async def replay(self, prediction_id: PredictionId) -> None:
        """Order the callback again: the same event under the same id, the schedule from its start.

        Raises:
            CommandError: no callback of the prediction was ever ordered.
        """
        await self._send(prediction_id, await self._url(prediction_id))

    async def dead(self, most: int) -> list[DeadCallback]:
        """The callbacks that were given up, at most so many. Changes nothing."""
        found: list[DeadCallback] = []
        async with await self._browse() as browse:
            while len(found) < most and (letters := await browse.next_letters()):
                found.extend(DeadCallback(letter, _order_in(letter)) for letter in letters)
        return found[:most]

    async def replay_dead(self) -> int:
        """Order every callback again that was given up, and give their number.

        Each is ordered before it is taken out of the dead-letter queue, so none can be lost. What
        cannot be read stays there, and so does what is given up anew while this goes on.
        """
        replayed: set[PredictionId] = set()
        async with await self._browse() as browse:
            while letters := await browse.next_letters():
                for letter in letters:
                    order = _order_in(letter)
                    if order is not None and order.prediction_id not in replayed:
                        await self._send(order.prediction_id, order.url)
                        await browse.delete(letter)
                        replayed.add(order.prediction_id)
        return len(replayed)

    async def _send(self, prediction_id: PredictionId, url: str) -> None:
        past = await self.log.read(prediction_id)
        order = CallbackOrder(
            prediction_id=prediction_id, url=url, after=past[-1].attempt if past else 0
        )
        queue_url = await QueueUrls(self.client).url(callbacks_queue(self.queue_prefix))
        message = OutgoingMessage(body=msgspec.json.encode(order), headers=JSON_HEADERS)
        await Sender(self.client).send(queue_url, message)

    async def _browse(self) -> Browse:
        name = callbacks_dead_letter_queue(self.queue_prefix)
        url = await QueueUrls(self.client).url(name)
        return Browse(self.receiver, self.client, url)

    async def _url(self, prediction_id: PredictionId) -> str:
        url = await self.log.url(prediction_id)
        if url is None:
            raise CommandError(
                f"No callback of the prediction {prediction_id} was begun. Either none was asked "
                "for, or its result is not there yet, or the callback service does not run."
            )
        return url


@asynccontextmanager
async def open_desk(installation: Installation) -> AsyncIterator[CallbackDesk]:
    """Open an installation's callbacks where the standard AWS variables point."""
    async with (
        receiving_client(connections=1) as receiver,
        sending_client(connections=4) as client,
        aws_client("s3", connections=1) as objects,
    ):
        log = DeliveryLog(ObjectStore(objects, installation.bucket))
        yield CallbackDesk(log, client, receiver, installation.queue_prefix)


def add_callbacks(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``callbacks`` and its commands to the parser of ``carimbo``."""
    callbacks = commands.add_parser("callbacks", help="callbacks: log, replay, dead")
    acts = callbacks.add_subparsers(required=True, metavar="command")

    log = acts.add_parser("log", help="every attempt to deliver a prediction's callback")
    log.add_argument("id", help="a prediction id")
    log.set_defaults(command=_log)

    replay = acts.add_parser("replay", help="deliver again, with the schedule from its start")
    which = replay.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", help="a prediction id")
    which.add_argument("--dead", action="store_true", help="all that were given up")
    replay.set_defaults(command=_replay)

    dead = acts.add_parser("dead", help=f"callbacks that were given up, and why (first {LISTED})")
    dead.set_defaults(command=_dead)


def _log(options: argparse.Namespace) -> None:
    attempts = _at_desk(lambda desk: desk.attempts(PredictionId(options.id)))
    table = Table("attempt", "at", "event", "outcome", "ms")
    for attempt in attempts:
        outcome = attempt.error or f"HTTP {attempt.status}"
        at = attempt.at.isoformat(sep=" ", timespec="seconds")
        table.add_row(str(attempt.attempt), at, attempt.type, outcome, str(attempt.ms))
    make_console().print(table if attempts else "No attempt was made yet.")


def _replay(options: argparse.Namespace) -> None:
    if options.dead:
        count = _at_desk(lambda desk: desk.replay_dead())
        print(f"{count:,} callbacks are ordered again.")
        return
    _at_desk(lambda desk: desk.replay(PredictionId(options.id)))
    print(f"Ordered again. Its attempts: carimbo callbacks log {options.id}")


def _dead(_: argparse.Namespace) -> None:
    found = _at_desk(lambda desk: desk.dead(LISTED))
    table = Table("prediction", "code", "reason")
    for each in found:
        name = each.letter.message.message_id if each.order is None else each.order.prediction_id
        table.add_row(Text(name), Text(each.letter.code), Text(each.letter.reason))
    make_console().print(table if found else "No callback was given up.")


def _at_desk(work: Callable[[CallbackDesk], Awaitable[T]]) -> T:
    """Do ``work`` on the installation's callbacks.

    Raises:
        CommandError: its queues or objects are out of reach.
    """
    installation = find_installation()

    async def open_and_work() -> T:
        async with open_desk(installation) as desk:
            return await work(desk)

    try:
        return asyncio.run(open_and_work())
    except CarimboError as error:
        raise CommandError(
            f"The callbacks are out of reach: {error} Looked at {installation.where}."
        ) from error


def _order_in(letter: DeadLetter) -> CallbackOrder | None:
    try:
        return msgspec.json.decode(letter.message.body, type=CallbackOrder)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
