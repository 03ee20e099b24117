"""The AsyncAPI document."""

from __future__ import annotations

from typing import Any

import msgspec
from faststream.specification import AsyncAPI

from common.faststream_sqs import SQSBroker, SQSQueue, SQSRouter
from common.faststream_sqs.payloads import payload_schema
from common.messages import PredictionReply, PredictionRequest
from tests.common.faststream_sqs.bodies import Answer, Ask, Done


class Tree(msgspec.Struct):
    children: list[Tree] = []


class Opaque:
    """Nothing that JSON Schema knows."""


def document(broker: SQSBroker) -> dict[str, Any]:
    specification = AsyncAPI(broker, schema_version="3.0.0").to_specification()
    return dict(msgspec.json.decode(specification.to_json()))


def test_the_document_knows_the_structs_that_travel() -> None:
    broker = SQSBroker()
    router = SQSRouter("carimbo-")

    @router.subscriber(SQSQueue("requests"))
    async def predict(request: PredictionRequest) -> PredictionReply:
        """Label a file."""
        raise NotImplementedError

    broker.include_router(router)
    shown = document(broker)

    (channel,) = shown["channels"].values()
    assert channel["address"] == "carimbo-requests"
    assert channel["description"] == "Label a file."
    schemas = shown["components"]["schemas"]
    request = next(s for s in schemas.values() if "prediction_id" in s.get("properties", {}))
    assert request["properties"]["columns"] == {}  # raw: its type is the contract's
    assert request["properties"]["violations"]["items"] == {
        "$ref": "#/components/schemas/Violation"
    }
    assert "Violation" in schemas


def test_the_document_knows_what_publishers_send() -> None:
    broker = SQSBroker()
    broker.publisher("declared", schema=Answer)

    @broker.publisher("returned")
    @broker.subscriber("requests")
    async def handle(ask: Ask) -> Done:
        raise NotImplementedError

    shown = document(broker)
    schemas = shown["components"]["schemas"]
    assert {"Done", "Refused", "Ask"} <= schemas.keys() | {s.get("title") for s in schemas.values()}
    assert {c["address"] for c in shown["channels"].values()} == {
        "declared",
        "returned",
        "requests",
    }


def test_bodies_that_are_no_structs_have_a_schema_too() -> None:
    assert payload_schema(bytes, "t") == {"title": "t", "type": "string", "format": "binary"}
    assert payload_schema(int, "t") == {"title": "t", "type": "integer"}
    assert payload_schema(msgspec.Raw, "t") == {"title": "t"}
    assert payload_schema(Opaque, "t") == {"title": "t"}


def test_a_struct_that_contains_itself_keeps_its_definition() -> None:
    schema = payload_schema(Tree, "t")
    items = schema["properties"]["children"]["items"]
    assert items == {"$ref": "#/$defs/Tree"}
    assert "Tree" in schema["$defs"]
