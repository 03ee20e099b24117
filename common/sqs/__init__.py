"""The mechanics of Amazon SQS: batches, leases, receives and replies, with no framework above.

A broker, or a hot path that cannot afford one, stands on this package.
"""

from common.sqs.clients import receiving_client, sending_client
from common.sqs.coalescer import Coalescer
from common.sqs.envelope import (
    OutgoingMessage,
    ReceivedMessage,
    entry_size,
    from_raw,
    to_entry,
)
from common.sqs.errors import EntryRefused, MessageTooLarge, QueueGone, SqsRefused, SqsUnavailable
from common.sqs.lease import LeaseKeeper
from common.sqs.limits import LONG_POLL_SECONDS, MESSAGE_LIMIT_BYTES
from common.sqs.pump import Pump
from common.sqs.queues import QueueUrls, ensure_queue
from common.sqs.replies import ReplyInbox, ReplyWaiter
from common.sqs.sender import Sender
from common.sqs.settler import Settler
from common.sqs.slots import Slots
from common.sqs.sweeper import sweep_reply_queues

__all__ = [
    "LONG_POLL_SECONDS",
    "MESSAGE_LIMIT_BYTES",
    "Coalescer",
    "EntryRefused",
    "LeaseKeeper",
    "MessageTooLarge",
    "OutgoingMessage",
    "Pump",
    "QueueGone",
    "QueueUrls",
    "ReceivedMessage",
    "ReplyInbox",
    "ReplyWaiter",
    "Sender",
    "Settler",
    "Slots",
    "SqsRefused",
    "SqsUnavailable",
    "ensure_queue",
    "entry_size",
    "from_raw",
    "receiving_client",
    "sending_client",
    "sweep_reply_queues",
    "to_entry",
]
