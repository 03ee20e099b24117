from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from callbacks.signing import Secret, signed_headers

TEXT = "whsec_" + b64encode(bytes(range(32))).decode()


def test_the_signature_is_the_standard_librarys_own() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    body = '{"label":"SERVIÇO"}'

    headers = signed_headers(
        body.encode(),
        message_id="m_1",
        timestamp=int(at.timestamp()),
        secrets=[Secret.parse(TEXT)],
    )

    assert headers == {
        "webhook-id": "m_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(TEXT).sign("m_1", at, body),
    }


def test_every_secret_signs_and_the_first_comes_first() -> None:
    other = "whsec_" + b64encode(b"x" * 24).decode()
    one = {"message_id": "m", "timestamp": 1}

    both = signed_headers(b"{}", secrets=[Secret.parse(TEXT), Secret.parse(other)], **one)  # type: ignore[arg-type]
    first = signed_headers(b"{}", secrets=[Secret.parse(TEXT)], **one)  # type: ignore[arg-type]

    signatures = both["webhook-signature"].split(" ")
    assert len(signatures) == 2
    assert signatures[0] == first["webhook-signature"]
    assert all(len(b64decode(signature.removeprefix("v1,"))) == 32 for signature in signatures)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        TEXT.removeprefix("whsec_"),
        "whsec_not base64!",
        "whsec_" + b64encode(b"short").decode(),
        "whsec_" + b64encode(b"x" * 65).decode(),
    ],
)
def test_what_is_no_secret_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="openssl rand") as refusal:
        Secret.parse(text)

    assert len(text) < 8 or text not in str(refusal.value)


def test_a_secret_does_not_show_itself() -> None:
    assert "\\x01" not in repr(Secret.parse(TEXT))
