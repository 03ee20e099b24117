"""Adds up how far a shadow agreed with what clients got, from the comparisons in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from aiohttp import ClientError as ConnectionFailure
from botocore.exceptions import BotoCoreError, ClientError

from client.errors import CommandError
from common.aws import aws_client
from common.shadows import Comparison
from common.topology import shadow_prefix

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

MOST_FILES = 1_000
"""As many as one call lists. Ids are random, so the first of them are a fair sample."""

AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowFigures:
    """Of ``rows`` in ``files``, ``agreed`` got the same label. Confidences are means over rows."""

    files: int = 0
    files_that_differ: int = 0
    rows: int = 0
    agreed: int = 0
    confidence: float = 0.0
    shadow_confidence: float = 0.0
    primary_versions: tuple[str, ...] = ()
    is_sample: bool = False

    @property
    def agreement(self) -> float:
        """Share of rows with the same label."""
        return self.agreed / self.rows if self.rows else 0.0


async def add_up(bucket: str, model: str, version: str) -> ShadowFigures:
    """Read the comparisons of one shadow, at most ``MOST_FILES``.

    Raises:
        CommandError: the object store does not answer, or there is no such bucket.
    """
    async with aws_client("s3", connections=AT_ONCE) as store:
        try:
            listed = await store.list_objects_v2(
                Bucket=bucket, Prefix=shadow_prefix(model, version), MaxKeys=MOST_FILES
            )
            keys = [entry["Key"] for entry in listed.get("Contents", [])]
            gate = asyncio.Semaphore(AT_ONCE)
            found = await asyncio.gather(*(_read(store, gate, bucket, key) for key in keys))
        except (ClientError, BotoCoreError, ConnectionFailure, OSError) as error:
            raise CommandError(
                f"The comparisons in bucket {bucket!r} cannot be read ({type(error).__name__}). "
                "Check that the object store answers and that the bucket exists."
            ) from error
    return summed(found, is_sample=listed.get("IsTruncated", False))


def summed(comparisons: Sequence[Comparison], *, is_sample: bool) -> ShadowFigures:
    """One figure of all files; every row counts the same."""
    rows = sum(each.rows for each in comparisons)
    if not rows:
        return ShadowFigures()
    return ShadowFigures(
        files=len(comparisons),
        files_that_differ=sum(each.agreed < each.rows for each in comparisons),
        rows=rows,
        agreed=sum(each.agreed for each in comparisons),
        confidence=sum(each.confidence * each.rows for each in comparisons) / rows,
        shadow_confidence=sum(each.shadow_confidence * each.rows for each in comparisons) / rows,
        primary_versions=tuple(sorted({each.primary_version for each in comparisons})),
        is_sample=is_sample,
    )


async def _read(store: S3Client, gate: asyncio.Semaphore, bucket: str, key: str) -> Comparison:
    async with gate:
        answer = await store.get_object(Bucket=bucket, Key=key)
        async with answer["Body"] as stream:
            return msgspec.json.decode(await stream.read(), type=Comparison)
