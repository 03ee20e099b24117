"""Orders callbacks: what a prediction became is told to its receiver by a service of its own.

The order is in its queue before the request is deleted. A request that comes twice orders twice;
the receiver is called under one id for both.
"""

from __future__ import annotations

import msgspec

from common.callbacks import CallbackOrder
from common.errors import TransientError
from common.faststream_sqs import SQSBroker, SQSQueue
from common.faststream_sqs.schemas import LAST_RESORT_RECEIVE_COUNT
from common.messages import Completed, Failed, FailureCode, PredictionRequest
from common.sqs import QueueGone
from common.topology import callbacks_dead_letter_queue, callbacks_queue

_results: msgspec.json.Decoder[Completed | Failed] = msgspec.json.Decoder(Completed | Failed)


class CallbackOrders:
    """Sends orders through ``broker``, and makes their queue if nobody has: any may come first."""

    def __init__(self, broker: SQSBroker, prefix: str) -> None:
        self._broker = broker
        self._queue = SQSQueue(
            callbacks_queue(prefix),
            dead_letter=callbacks_dead_letter_queue(prefix),
            last_resort=LAST_RESORT_RECEIVE_COUNT,
        )

    async def order(self, request: PredictionRequest, told: bytes) -> None:
        """Order the callback that ``request`` asks for, if it does; ``told`` is its result.

        Raises:
            TransientError: the queue did not take the order.
        """
        if request.callback_url is None or _is_anothers(told):
            return
        order = CallbackOrder(prediction_id=request.prediction_id, url=request.callback_url)
        try:
            await self._broker.publish(order, self._queue.name)
        except QueueGone:
            await self._make_queue()
            await self._send_again(order)

    async def _make_queue(self) -> None:
        connection = await self._broker.connect()
        connection.forget(self._queue.name)
        await connection.declare(self._queue, self._queue.name)

    async def _send_again(self, order: CallbackOrder) -> None:
        try:
            await self._broker.publish(order, self._queue.name)
        except QueueGone as error:
            raise TransientError(error.code, error.message) from error


def _is_anothers(told: bytes) -> bool:
    """Whether the id belongs to another request, whose result is not this receiver's business."""
    result = _results.decode(told)
    return isinstance(result, Failed) and result.code == FailureCode.PREDICTION_ID_REUSED
