"""S3's hot operation, the conditional write of a result; the others are the client's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from common.aws_wire.wire import Answer, Wire, refusal

_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,100})</Code>")


class LeanS3:
    """An aiobotocore S3 client whose writes go over ``wire``, with the bucket in the path."""

    def __init__(self, client: Any, wire: Wire) -> None:
        self._client = client
        self._wire = wire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def put_object(  # noqa: PLR0913 - the client's own signature
        self,
        *,
        Bucket: str,  # noqa: N803 - the client's own spelling
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        ContentType: str = "binary/octet-stream",  # noqa: N803 - S3's own default
        IfNoneMatch: str | None = None,  # noqa: N803
        Metadata: Mapping[str, str] | None = None,  # noqa: N803
    ) -> Any:
        """PutObject. The signature covers the body's SHA-256, so S3 refuses a damaged one."""
        headers = {"content-type": ContentType}
        if IfNoneMatch is not None:
            headers["if-none-match"] = IfNoneMatch
        headers.update({f"x-amz-meta-{name}": text for name, text in (Metadata or {}).items()})
        path = f"/{quote(Bucket, safe='')}/{quote(Key, safe='/-_.~')}"
        answer = await self._wire.send("PutObject", "PUT", path, headers, Body)
        if answer.is_error:
            raise refusal(answer, "PutObject", _code(answer))
        return {}


def _code(answer: Answer) -> str:
    found = _CODE.search(answer.body)
    return found[1].decode() if found else str(answer.status)
