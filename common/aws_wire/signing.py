"""AWS Signature Version 4 for requests with a body in memory.

Follows the steps of "Create a signed AWS API request" in AWS's IAM User Guide; the tests hold it
against botocore's own signer. The signing key changes once a day, so it is kept.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

ALGORITHM = "AWS4-HMAC-SHA256"
KEYS_KEPT = 16


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves who calls. ``token`` belongs to temporary credentials only."""

    access_key: str
    secret_key: str
    token: str | None


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a signature holds."""

    region: str
    service: str


def signed_headers(  # noqa: PLR0913 - a signature covers all of these
    *,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    scope: Scope,
    credentials: Credentials,
    now: datetime | None = None,
) -> dict[str, str]:
    """``headers`` with what makes the request authentic.

    Args:
        method: as sent, in capitals.
        path: percent-encoded, as sent; there is no query.
        headers: by lower-case name, ``host`` among them; all of them are signed.
        body: as sent.
        scope: the region and service that will check it.
        credentials: the caller's.
        now: the moment of signing, aware; by default this one.
    """
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    digest = sha256(body).hexdigest()
    signed = {**headers, "x-amz-date": stamp, "x-amz-content-sha256": digest}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = sorted(signed)
    listed = ";".join(names)
    canonical = "\n".join(
        [method, path, "", *(f"{name}:{signed[name]}" for name in names), "", listed, digest]
    )
    place = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    to_sign = f"{ALGORITHM}\n{stamp}\n{place}\n{sha256(canonical.encode()).hexdigest()}"
    key = _signing_key(credentials.secret_key, stamp[:8], scope.region, scope.service)
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    signed["authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{place}, "
        f"SignedHeaders={listed}, Signature={signature}"
    )
    return signed


@lru_cache(maxsize=KEYS_KEPT)
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
