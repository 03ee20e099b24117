"""What SQS costs and what it did, as counters. Labels come from closed sets, never from ids."""

from __future__ import annotations

from prometheus_client import Counter

CALLS = Counter(
    "carimbo_sqs_calls",
    "Requests sent to SQS, retries included: what the bill counts.",
    ["operation"],
)
ENTRY_RETRIES = Counter(
    "carimbo_sqs_entry_retries",
    "Entries of a batch that SQS refused for a reason of its own and that were sent again.",
    ["operation"],
)
RECEIPTS_GONE = Counter(
    "carimbo_sqs_receipts_gone",
    "Deletes, releases and extensions that came after the receipt handle had lost its meaning.",
    ["operation"],
)
RECEIVE_ERRORS = Counter(
    "carimbo_sqs_receive_errors",
    "Receives that failed and were tried again after a pause.",
    ["reason"],
)
RELEASED = Counter(
    "carimbo_sqs_released_at_stop",
    "Messages given back unworked, because the pump was stopping.",
)
LEASES_CAPPED = Counter(
    "carimbo_sqs_leases_capped",
    "Leases no longer extended because the longest hold was reached.",
)
REPLIES = Counter(
    "carimbo_sqs_replies",
    "Replies by what became of them: delivered, or unclaimed (late, or a duplicate).",
    ["outcome"],
)
REPLY_QUEUES_REPLACED = Counter(
    "carimbo_sqs_reply_queues_replaced",
    "Reply queues that vanished while their owner ran, and were made anew under another name.",
)
