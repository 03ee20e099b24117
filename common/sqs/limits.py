"""What SQS itself allows, in its own units."""

from __future__ import annotations

BATCH_ENTRIES = 10
"""Entries in one batch call, and messages in one receive."""

MESSAGE_LIMIT_BYTES = 1_048_576
"""Body and attributes of one message, and of one whole batch. Some endpoints allow 262,144."""

SMALLEST_MESSAGE_LIMIT_BYTES = 262_144
"""SQS's limit until 2025, which some endpoints and engines keep."""

LONG_POLL_SECONDS = 20
"""The longest poll, and so the fewest empty answers to pay for."""

LONGEST_VISIBILITY_SECONDS = 43_200
"""Twelve hours, counted from the receipt."""
