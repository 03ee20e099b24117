"""The dead-letter office of one model: look at its letters, send them back, throw them away."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from common.aws import aws_client
from common.claims import Claims
from common.deadletters.browse import Browse
from common.deadletters.letter import DeadLetter, claim_of
from common.deadletters.pace import Pace
from common.deadletters.passes import OnProgress, Pass, PassReport
from common.deadletters.redrive import Redrive
from common.deadletters.selection import Selection
from common.objects import ObjectStore
from common.sqs import QueueUrls, Sender, receiving_client, sending_client
from common.sqs.errors import sqs_errors
from common.sqs.limits import BATCH_ENTRIES
from common.topology import dead_letter_queue, requests_queue, result_key

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

_CONNECTIONS = BATCH_ENTRIES + 2  # a step's letters at once, and the leases beside them


class QueueState(NamedTuple):
    """SQS's approximate counts, and its clock in milliseconds since 1970 (to the second)."""

    visible: int
    hidden: int
    now_ms: int


class DeadLetterOffice:
    """One model's dead-letter queue. Run one act at a time on a queue: a second sees little.

    ``receiver`` is a client for receives only, ``client`` one for everything else. Letters that do
    not say where they came from go back to the queue ``default_source``.
    """

    def __init__(
        self,
        *,
        receiver: SQSClient,
        client: SQSClient,
        store: ObjectStore,
        queue_url: str,
        default_source: str,
    ) -> None:
        self._receiver = receiver
        self._client = client
        self._store = store
        self._default_source = default_source
        self.queue_url = queue_url

    async def state(self) -> QueueState:
        """Ask how many letters there are.

        Raises:
            CarimboError: SQS did not answer, or refused.
        """
        with sqs_errors("GetQueueAttributes"):
            answer = await self._client.get_queue_attributes(
                QueueUrl=self.queue_url,
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesNotVisible",
                ],
            )
        attributes = answer["Attributes"]
        return QueueState(
            visible=int(attributes["ApproximateNumberOfMessages"]),
            hidden=int(attributes["ApproximateNumberOfMessagesNotVisible"]),
            now_ms=clock_ms(answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")),
        )

    async def look(
        self,
        selection: Selection,
        on_letter: Callable[[DeadLetter], None],
        *,
        limit: int | None = None,
    ) -> PassReport:
        """Show the letters that are meant, at most ``limit`` of them. Changes nothing.

        Raises:
            PermanentError: the queue is gone, or we may not read it.
        """

        async def show(_: Browse, letter: DeadLetter) -> str:
            on_letter(letter)
            return "shown"

        return await self._run(Pass(selection, show, limit=limit))

    async def redrive(
        self,
        selection: Selection,
        *,
        is_dry: bool = False,
        pace: Pace | None = None,
        on_progress: OnProgress = lambda _: None,
    ) -> PassReport:
        """Send the letters that are meant back to where they came from; dry: only say so.

        A letter that is buried anew while this goes on is not sent back a second time.

        Raises:
            PermanentError: the queue is gone, or we may not read it.
        """
        redrive = Redrive(
            store=self._store,
            sender=Sender(self._client),
            queues=QueueUrls(self._client),
            default_source=self._default_source,
        )

        async def act(browse: Browse, letter: DeadLetter) -> str:
            if is_dry:
                return await redrive.preview(letter)
            return await redrive.send_back(letter, browse)

        return await self._run(
            Pass(
                selection,
                act,
                pace=pace,
                came_back=redrive.came_back,
                on_progress=on_progress,
            )
        )

    async def purge(
        self,
        selection: Selection,
        *,
        is_dry: bool = False,
        pace: Pace | None = None,
        on_progress: OnProgress = lambda _: None,
    ) -> PassReport:
        """Delete the letters that are meant, for good; dry: only say so. Results stay.

        The rows that a letter claims go with it, once its prediction has a result: nothing can
        ask for them any more.

        Raises:
            PermanentError: the queue is gone, or we may not read it.
        """

        async def act(browse: Browse, letter: DeadLetter) -> str:
            if not is_dry:
                await self._forget_rows(letter)  # first: a letter that stays can be purged again
                await browse.delete(letter)
            return "purged"

        return await self._run(Pass(selection, act, pace=pace, on_progress=on_progress))

    async def _forget_rows(self, letter: DeadLetter) -> None:
        claim = claim_of(letter)
        if claim is None or await self._store.stat(result_key(letter.prediction_id)) is None:
            return
        await Claims(self._store).forget(claim)

    async def _run(self, one_pass: Pass) -> PassReport:
        async with Browse(self._receiver, self._client, self.queue_url) as browse:
            return await one_pass.run(browse)


@asynccontextmanager
async def open_office(*, prefix: str, model: str, bucket: str) -> AsyncIterator[DeadLetterOffice]:
    """Open a model's dead-letter office where the standard AWS variables point.

    Raises:
        QueueGone: the model has no dead-letter queue there.
        CarimboError: SQS did not answer, or refused.
    """
    async with (
        receiving_client(connections=1) as receiver,
        sending_client(connections=_CONNECTIONS) as client,
        aws_client("s3", connections=_CONNECTIONS) as objects,
    ):
        yield DeadLetterOffice(
            receiver=receiver,
            client=client,
            store=ObjectStore(objects, bucket),
            queue_url=await QueueUrls(client).url(dead_letter_queue(prefix, model)),
            default_source=requests_queue(prefix, model),
        )


def clock_ms(http_date: str) -> int:
    """The time of an answer's Date header: the service's own clock, which stamps messages too."""
    try:
        return round(parsedate_to_datetime(http_date).timestamp() * 1000)
    except ValueError:
        return round(time.time() * 1000)
