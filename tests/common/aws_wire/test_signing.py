"""Our signatures are the ones that botocore makes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from common.aws_wire.signing import Credentials, Scope, signed_headers

ENDPOINT = "https://sqs.eu-west-1.amazonaws.com"
HOST = "sqs.eu-west-1.amazonaws.com"


def botocores(signer: type[SigV4Auth], request: AWSRequest, service: str, token: Any) -> str:
    """The signature that botocore puts on a request whose moment is fixed already."""
    auth = signer(BotoCredentials("AKID", "SECRET", token), service, "eu-west-1")
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


@pytest.mark.parametrize("token", [None, "a-session-token"])
@pytest.mark.parametrize(
    ("service", "signer", "request_line"),
    [
        ("sqs", SigV4Auth, "POST /"),
        ("s3", S3SigV4Auth, "PUT /carimbo/results/0af76519-16cd.json"),
    ],
)
@given(body=st.binary(max_size=200))
def test_a_signature_is_botocores(
    service: str, signer: type[SigV4Auth], request_line: str, token: str | None, body: bytes
) -> None:
    method, path = request_line.split()
    ours = signed_headers(
        method=method,
        path=path,
        headers={"host": HOST, "content-type": "application/json"},
        body=body,
        scope=Scope("eu-west-1", service),
        credentials=Credentials("AKID", "SECRET", token),
        now=datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC),
    )

    sent = {name: value for name, value in ours.items() if name != "authorization"}
    request = AWSRequest(method=method, url=ENDPOINT + path, headers=sent, data=body)
    request.context["timestamp"] = ours["x-amz-date"]

    assert ours["authorization"].rpartition("Signature=")[2] == botocores(
        signer, request, service, token
    )
    assert ("x-amz-security-token" in ours) is (token is not None)
