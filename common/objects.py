"""The object store: where a prediction's one result is kept, written once.

A result outlives its message and its reply, so everything here that fails is worth another
attempt: the caller keeps its message until the object is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from aiohttp import ClientError as ConnectionFailure
from botocore.exceptions import BotoCoreError, ClientError

from common.errors import TransientError

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_s3.type_defs import (
        CompletedPartTypeDef,
        GetObjectOutputTypeDef,
        LifecycleRuleOutputTypeDef,
        LifecycleRuleTypeDef,
    )

STORE_UNAVAILABLE = "object-store-unavailable"
PUT_ATTEMPTS = 3
"""S3 answers Conflict while another conditional write of the key is under way: ask again."""

PART_BYTES = 8 * 1024 * 1024
"""A large object travels in such parts: what is held of it at a time, and how long signing one
keeps the event loop. S3 takes none under 5 MiB, but for the last."""

_TAKEN = "PreconditionFailed"
_CONFLICT = "ConditionalRequestConflict"
_ABSENT = "NoSuchKey"
_NO_LIFECYCLE = "NoSuchLifecycleConfiguration"
_OURS = "BucketAlreadyOwnedByYou"
_REGION_WITHOUT_CONSTRAINT = "us-east-1"
_NOT_FOUND = "404"  # a HEAD has no body to name the error in


class Stat(NamedTuple):
    """An object without its content. ``age_seconds`` is by the store's own clock alone."""

    key: str
    size: int
    age_seconds: float


class Unread(NamedTuple):
    """An object that was too large to be read: its size in bytes, and what was noted with it."""

    size: int
    notes: Mapping[str, str]


class ObjectStore:
    """One bucket. Objects are mostly small (a result is tens of kilobytes) and travel whole.

    Args:
        client: an S3 client with time-outs of its own and room for the caller's parallel calls.
        bucket: the bucket's name.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self.bucket = bucket

    async def put_once(
        self, key: str, body: bytes, content_type: str, notes: Mapping[str, str] | None = None
    ) -> bool:
        """Write the object unless the key is taken; False when it is taken, whatever it holds.

        ``notes`` (ASCII, short) can be read without the object.

        Raises:
            TransientError: the store did not answer, or refused for a reason that may pass.
        """
        for _ in range(PUT_ATTEMPTS):
            with self._errors("write"):
                try:
                    await self._client.put_object(
                        Bucket=self.bucket,
                        Key=key,
                        Body=body,
                        ContentType=content_type,
                        IfNoneMatch="*",
                        Metadata=notes or {},
                    )
                except ClientError as error:
                    code = _code(error)
                    if code == _TAKEN:
                        return False
                    if code != _CONFLICT:
                        raise
                else:
                    return True
        raise TransientError(
            STORE_UNAVAILABLE,
            f"Another write of the same object in bucket {self.bucket!r} did not end in "
            f"{PUT_ATTEMPTS} attempts.",
        )

    async def get(self, key: str) -> bytes | None:
        """The object's bytes, or None when there is no such object.

        Raises:
            TransientError: the store did not answer, or the bucket does not exist (yet).
        """
        with self._errors("read"):
            answer = await self._answer(key)
            if answer is None:
                return None
            async with answer["Body"] as stream:
                return await stream.read()

    async def get_up_to(self, key: str, most_bytes: int) -> bytes | Unread | None:
        """The object's bytes if they are at most so many; None when there is no such object.

        Raises:
            TransientError: the store did not answer, or the bucket does not exist (yet).
        """
        with self._errors("read"):
            answer = await self._answer(key)
            if answer is None:
                return None
            if answer["ContentLength"] > most_bytes:
                answer["Body"].close()
                return Unread(answer["ContentLength"], answer["Metadata"])
            async with answer["Body"] as stream:
                return await stream.read()

    async def get_into(self, key: str, file: IO[bytes]) -> bool:
        """Write the object's bytes to ``file``, a piece at a time; False when there is none.

        Raises:
            TransientError: the store did not answer, or the bucket does not exist (yet).
        """
        with self._errors("read"):
            answer = await self._answer(key)
            if answer is None:
                return False
            async with answer["Body"] as stream:
                async for piece in stream.iter_chunks(PART_BYTES // 8):
                    await asyncio.to_thread(file.write, piece)
        return True

    async def _answer(self, key: str) -> GetObjectOutputTypeDef | None:
        """What the store says of an object; None when there is no such object."""
        try:
            return await self._client.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if _code(error) == _ABSENT:
                return None
            raise

    async def put_file(self, key: str, file: IO[bytes], content_type: str) -> None:
        """Write all of ``file``, a part at a time, over whatever the key held.

        Raises:
            TransientError: the store did not answer, or refused for a reason that may pass.
        """
        await asyncio.to_thread(file.seek, 0)
        first = await asyncio.to_thread(file.read, PART_BYTES)
        second = await asyncio.to_thread(file.read, PART_BYTES)
        with self._errors("write"):
            if not second:
                await self._client.put_object(
                    Bucket=self.bucket, Key=key, Body=first, ContentType=content_type
                )
                return
            begun = await self._client.create_multipart_upload(
                Bucket=self.bucket, Key=key, ContentType=content_type
            )
            upload = begun["UploadId"]
            try:
                await self._put_parts(key, upload, first, second, file)
            except BaseException:
                with suppress(ClientError, BotoCoreError, ConnectionFailure, OSError):
                    await self._client.abort_multipart_upload(
                        Bucket=self.bucket, Key=key, UploadId=upload
                    )
                raise

    async def _put_parts(
        self, key: str, upload: str, first: bytes, second: bytes, rest: IO[bytes]
    ) -> None:
        parts: list[CompletedPartTypeDef] = []
        part, following = first, second
        while part:
            number = len(parts) + 1
            answer = await self._client.upload_part(
                Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number, Body=part
            )
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            part, following = following, await asyncio.to_thread(rest.read, PART_BYTES)
        await self._client.complete_multipart_upload(
            Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
        )

    async def stat(self, key: str) -> Stat | None:
        """What is known of the object without reading it; None when there is none.

        Raises:
            TransientError: the store did not answer, or the bucket does not exist (yet).
        """
        with self._errors("look"):
            try:
                answer = await self._client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if _code(error) in (_NOT_FOUND, _ABSENT):
                    return None
                raise
            now = _date(answer)
            age = now - answer["LastModified"].timestamp()
            return Stat(key, answer["ContentLength"], age)

    async def walk(self, prefix: str) -> AsyncIterator[Stat]:
        """Every object whose key starts with ``prefix``.

        Raises:
            TransientError: the store did not answer, or the bucket does not exist (yet).
        """
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix
        )
        with self._errors("list"):
            async for page in pages:
                now = _date(page)
                for entry in page.get("Contents", ()):
                    age = now - entry["LastModified"].timestamp()
                    yield Stat(entry["Key"], entry["Size"], age)

    async def delete(self, key: str) -> None:
        """Remove the object, whatever it holds; one that is not there is no error.

        Raises:
            TransientError: the store did not answer, or the bucket does not exist (yet).
        """
        with self._errors("delete"):
            await self._client.delete_object(Bucket=self.bucket, Key=key)

    async def ensure_bucket(self) -> None:
        """Create the bucket unless it is there. Two processes may do so at the same time.

        Raises:
            TransientError: the store did not answer, or the name belongs to somebody else.
        """
        region = self._client.meta.region_name
        with self._errors("create"):
            try:
                if region == _REGION_WITHOUT_CONSTRAINT:
                    await self._client.create_bucket(Bucket=self.bucket)
                else:
                    await self._client.create_bucket(
                        Bucket=self.bucket,
                        CreateBucketConfiguration={"LocationConstraint": region},  # type: ignore[typeddict-item]
                    )
            except ClientError as error:
                if _code(error) != _OURS:
                    raise

    async def expire(self, prefixes: Sequence[str], *, days: int) -> None:
        """Have the store delete objects under ``prefixes`` by itself, ``days`` after their writing.

        Rules that others gave the bucket stay. May be called any number of times.

        Raises:
            TransientError: the store did not answer, or refused.
        """
        ours = [_expiry_rule(prefix, days) for prefix in prefixes]
        names = {rule["ID"] for rule in ours}
        with self._errors("set the expiry"):
            found = await self._lifecycle()
            others = [rule for rule in found if rule.get("ID") not in names]
            if all(any(_is_within(rule, old) for old in found) for rule in ours):
                return
            await self._client.put_bucket_lifecycle_configuration(
                Bucket=self.bucket, LifecycleConfiguration={"Rules": [*others, *ours]}
            )

    async def _lifecycle(self) -> list[LifecycleRuleOutputTypeDef]:
        try:
            answer = await self._client.get_bucket_lifecycle_configuration(Bucket=self.bucket)
        except ClientError as error:
            if _code(error) == _NO_LIFECYCLE:
                return []
            raise
        return answer.get("Rules", [])

    async def ping(self) -> None:
        """Ask for the bucket.

        Raises:
            TransientError: the store does not answer, or the bucket does not exist.
        """
        with self._errors("reach"):
            await self._client.head_bucket(Bucket=self.bucket)

    @contextmanager
    def _errors(self, act: str) -> Iterator[None]:
        """Turn the client library's exceptions into the project's; never names a key."""
        try:
            yield
        except ClientError as error:
            raise self._unavailable(act, _code(error)) from error
        except (BotoCoreError, ConnectionFailure, OSError) as error:
            raise self._unavailable(act, type(error).__name__) from error

    def _unavailable(self, act: str, found: str) -> TransientError:
        return TransientError(
            STORE_UNAVAILABLE,
            f"Could not {act} in bucket {self.bucket!r}: {found}. Check that the object store "
            "answers and that the bucket exists.",
        )


def _date(answer: Any) -> float:
    """The store's own clock at its answer, in seconds since 1970."""
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _expiry_rule(prefix: str, days: int) -> LifecycleRuleTypeDef:
    return {
        "ID": f"carimbo-expire-{prefix.strip('/')}",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Expiration": {"Days": days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }


def _is_within(rule: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether all of a rule is in one that was found, which may say more."""
    return all(found.get(name) == value for name, value in rule.items())
