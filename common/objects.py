"""The object store: where a prediction's one result is kept, written once.

A result outlives its message and its reply, so everything here that fails is worth another
attempt: the caller keeps its message until the object is durable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError as ConnectionFailure
from botocore.exceptions import BotoCoreError, ClientError

from common.errors import TransientError

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_s3.type_defs import LifecycleRuleOutputTypeDef, LifecycleRuleTypeDef

STORE_UNAVAILABLE = "object-store-unavailable"
PUT_ATTEMPTS = 3
"""S3 answers Conflict while another conditional write of the key is under way: ask again."""

_TAKEN = "PreconditionFailed"
_CONFLICT = "ConditionalRequestConflict"
_ABSENT = "NoSuchKey"
_NO_LIFECYCLE = "NoSuchLifecycleConfiguration"
_OURS = "BucketAlreadyOwnedByYou"
_REGION_WITHOUT_CONSTRAINT = "us-east-1"


class ObjectStore:
    """One bucket. Objects are small (a result is tens of kilobytes) and travel whole.

    Args:
        client: an S3 client with time-outs of its own and room for the caller's parallel calls.
        bucket: the bucket's name.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self.bucket = bucket

    async def put_once(self, key: str, body: bytes, content_type: str) -> bool:
        """Write the object unless the key is taken; False when it is taken, whatever it holds.

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
            try:
                answer = await self._client.get_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if _code(error) == _ABSENT:
                    return None
                raise
            async with answer["Body"] as stream:
                return await stream.read()

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


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _expiry_rule(prefix: str, days: int) -> LifecycleRuleTypeDef:
    return {
        "ID": f"carimbo-expire-{prefix.strip('/')}",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Expiration": {"Days": days},
    }


def _is_within(rule: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether all of a rule is in one that was found, which may say more."""
    return all(found.get(name) == value for name, value in rule.items())
