"""Signatures by Standard Webhooks: over id, timestamp and the very bytes of the body.

Every secret signs, and a receiver accepts a message when one of the signatures is its own secret's:
a new secret is added in front, receivers change over in their time, and the old one is taken out.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

PREFIX = "whsec_"
SHORTEST_BYTES = 24
LONGEST_BYTES = 64


@dataclass(frozen=True, slots=True)
class Secret:
    """A key that is shared with the receivers. It never shows itself."""

    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``whsec_`` and base64.

        Raises:
            ValueError: it is something else; the message does not repeat it.
        """
        try:
            key = b64decode(text.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not text.startswith(PREFIX) or not SHORTEST_BYTES <= len(key) <= LONGEST_BYTES:
            raise ValueError(
                f"a secret is {PREFIX} and base64 of {SHORTEST_BYTES} to {LONGEST_BYTES} bytes; "
                "one is made by: openssl rand -base64 32"
            )
        return cls(key)


def signed_headers(
    body: bytes, *, message_id: str, timestamp: int, secrets: Sequence[Secret]
) -> dict[str, str]:
    """The three headers of Standard Webhooks; ``timestamp`` is seconds since 1970.

    ``message_id`` stays the same over every attempt; the timestamp is each attempt's own, so that
    a receiver can refuse what somebody recorded and plays back.
    """
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    signatures = (
        b64encode(hmac.digest(secret.key, signed, "sha256")).decode() for secret in secrets
    )
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
