"""The lean clients give and raise what aiobotocore's do, on the same engine."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from common.aws import aws_client

pytestmark = pytest.mark.usefixtures("aws_environment")


async def code_of(call: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        await call
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


async def test_a_message_makes_the_whole_way(queue_prefix: str) -> None:
    async with aws_client("sqs", connections=2) as sqs:
        url = (await sqs.create_queue(QueueName=f"{queue_prefix}q"))["QueueUrl"]
        sent = await sqs.send_message_batch(
            QueueUrl=url,
            Entries=[
                {
                    "Id": "0",
                    "MessageBody": "naïve 💳",
                    "MessageAttributes": {"a": {"DataType": "String", "StringValue": "ç"}},
                }
            ],
        )
        got = await sqs.receive_message(
            QueueUrl=url, WaitTimeSeconds=2, MessageAttributeNames=["All"]
        )
        [message] = got["Messages"]
        assert message["Body"] == "naïve 💳"
        assert message["MessageAttributes"]["a"]["StringValue"] == "ç"
        assert message["MessageId"] == sent["Successful"][0]["MessageId"]

        handle: Any = {"Id": "0", "ReceiptHandle": message["ReceiptHandle"]}
        longer: Any = {**handle, "VisibilityTimeout": 30}
        hidden = await sqs.change_message_visibility_batch(QueueUrl=url, Entries=[longer])
        assert [done["Id"] for done in hidden["Successful"]] == ["0"]
        deleted = await sqs.delete_message_batch(QueueUrl=url, Entries=[handle])
        assert [done["Id"] for done in deleted["Successful"]] == ["0"]


async def test_a_missing_queue_is_refused_as_aiobotocore_refuses_it(queue_prefix: str) -> None:
    async with aws_client("sqs", connections=2) as lean:
        real = (await lean.create_queue(QueueName=f"{queue_prefix}q"))["QueueUrl"]
        missing = real.replace(f"{queue_prefix}q", f"{queue_prefix}gone")
        async with get_session().create_client("sqs") as stock:
            assert await code_of(lean.receive_message(QueueUrl=missing)) == await code_of(
                stock.receive_message(QueueUrl=missing)
            )


async def test_a_taken_key_is_refused_as_aiobotocore_refuses_it(queue_prefix: str) -> None:
    write: Any = {
        "Bucket": queue_prefix.strip("-"),
        "Key": "results/ünïcode key.json",
        "Body": b"{}",
        "ContentType": "application/json",
        "IfNoneMatch": "*",
    }
    async with aws_client("s3", connections=2) as lean, get_session().create_client("s3") as stock:
        await lean.create_bucket(Bucket=write["Bucket"])
        await lean.put_object(**write)
        read = await stock.get_object(Bucket=write["Bucket"], Key=write["Key"])
        assert await read["Body"].read() == b"{}"
        assert read["ContentType"] == "application/json"
        assert await code_of(lean.put_object(**write)) == await code_of(stock.put_object(**write))
        elsewhere = {**write, "Bucket": "no-such-bucket-here"}
        assert await code_of(lean.put_object(**elsewhere)) == await code_of(
            stock.put_object(**elsewhere)
        )


async def test_every_request_is_counted_by_its_operation(queue_prefix: str) -> None:
    calls: Counter[str] = Counter()
    async with aws_client("sqs", connections=2, on_call=lambda name: calls.update([name])) as sqs:
        url = (await sqs.create_queue(QueueName=f"{queue_prefix}q"))["QueueUrl"]
        await sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0)
    assert calls == {"CreateQueue": 1, "ReceiveMessage": 1}
