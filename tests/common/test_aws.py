from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from common.aws import aws_client


async def test_an_object_store_at_an_endpoint_is_addressed_by_path(
    aws_environment: dict[str, str], queue_prefix: str
) -> None:
    assert aws_environment
    bucket = f"{queue_prefix}bucket"
    async with aws_client("s3", connections=2) as s3:
        await s3.create_bucket(Bucket=bucket)
        await s3.put_object(Bucket=bucket, Key="results/a.json", Body=b"{}", IfNoneMatch="*")
        with pytest.raises(ClientError, match="PreconditionFailed"):
            await s3.put_object(Bucket=bucket, Key="results/a.json", Body=b"2", IfNoneMatch="*")
        answer = await s3.get_object(Bucket=bucket, Key="results/a.json")
        async with answer["Body"] as body:
            assert await body.read() == b"{}"


async def test_without_an_endpoint_buckets_keep_aws_own_addressing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    async with aws_client("s3", connections=1) as s3:
        url = await s3.generate_presigned_url("get_object", Params={"Bucket": "b-1", "Key": "k"})
    assert url.startswith("https://b-1.s3.")
