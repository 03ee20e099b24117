from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.sqs import MessageTooLarge, OutgoingMessage, entry_size, from_raw, to_entry
from common.sqs.envelope import PROTOCOL_HEADERS, check_size

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient
    from types_aiobotocore_sqs.type_defs import MessageTypeDef


def _travelled(message: OutgoingMessage) -> OutgoingMessage:
    entry = to_entry(message, "0")
    raw: MessageTypeDef = {"Body": entry["MessageBody"]}
    raw["MessageAttributes"] = entry.get("MessageAttributes", {})  # type: ignore[typeddict-item]  # input and output shapes are alike
    received = from_raw(raw, "queue")
    return OutgoingMessage(body=received.body, headers=received.headers)


_names = st.one_of(st.sampled_from(PROTOCOL_HEADERS), st.text(min_size=1))
_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(
    st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "ignore"))),
    st.dictionaries(_names, _text),
)
def test_whatever_is_sent_arrives_unchanged(body: bytes, headers: dict[str, str]) -> None:
    message = OutgoingMessage(body=body, headers=headers)
    assert _travelled(message) == message


@given(st.binary(max_size=50), st.dictionaries(_names, st.text(), max_size=20))
def test_an_entry_keeps_to_the_rules_of_sqs(body: bytes, headers: dict[str, str]) -> None:
    entry = to_entry(OutgoingMessage(body=body, headers=headers), "0")
    attributes = entry.get("MessageAttributes", {})
    assert entry["MessageBody"]
    assert len(attributes) <= 10
    for attribute in attributes.values():
        assert attribute.get("StringValue")
    everything = entry["MessageBody"] + "".join(
        attribute.get("StringValue", "") for attribute in attributes.values()
    )
    assert not {character for character in everything if character < " "} - set("\t\n\r")
    assert not set(everything) & {"\ufffe", "\uffff"}


def test_the_size_counts_bytes_of_body_and_of_every_attributes_name_type_and_value() -> None:
    entry = to_entry(OutgoingMessage(body="ç".encode(), headers={"reply_to": "é"}), "0")
    assert entry_size(entry) == 2 + len("reply_to") + len("String") + 2


def test_refuses_a_message_that_its_attributes_make_too_large() -> None:
    size = entry_size(to_entry(OutgoingMessage(body=b"12345", headers={"x": "y"}), "0"))
    check_size(size, size)
    with pytest.raises(MessageTooLarge, match=f"{size} bytes"):
        check_size(size, size - 1)


@pytest.mark.parametrize(
    ("name", "value"), [("content_encoding", "base64"), ("headers", "not json"), ("headers", "[1]")]
)
def test_reads_a_strangers_message_that_uses_our_attributes(name: str, value: str) -> None:
    received = from_raw(
        {
            "Body": "not base64!",
            "MessageAttributes": {name: {"DataType": "String", "StringValue": value}},
        },
        "queue",
    )
    assert received.body == b"not base64!"


def test_measures_the_wait_in_the_queue_on_the_clock_of_sqs() -> None:
    received = from_raw(
        {
            "Body": "x",
            "Attributes": {
                "SentTimestamp": "1700000000000",
                "ApproximateFirstReceiveTimestamp": "1700000000250",
                "ApproximateReceiveCount": "2",
            },
        },
        "queue",
    )
    assert received.queue_wait_ms == 250
    assert received.receive_count == 2
    assert 250 <= received.age_ms < 250 + (time.monotonic() - received.received_at + 1) * 1000


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(bytes(range(256)), id="every byte"),
        pytest.param("linha\r\n\tção \U0001f600 \x7f\x85".encode(), id="text"),
        pytest.param("\ufffe".encode(), id="not a character of XML"),
    ],
)
async def test_the_engine_carries_every_kind_of_body(
    sqs: SQSClient, receiver: SQSClient, queue_url: str, body: bytes
) -> None:
    sent = OutgoingMessage(
        body=body,
        headers={**dict.fromkeys(PROTOCOL_HEADERS, "v"), "mine": "\x01", "another": "1"},
    )
    await sqs.send_message_batch(QueueUrl=queue_url, Entries=[to_entry(sent, "0")])
    answer = await receiver.receive_message(
        QueueUrl=queue_url, MessageAttributeNames=["All"], WaitTimeSeconds=2
    )
    received = from_raw(answer["Messages"][0], queue_url)
    assert OutgoingMessage(body=received.body, headers=received.headers) == sent
