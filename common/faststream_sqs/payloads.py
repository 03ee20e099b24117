"""JSON Schemas of message bodies for the AsyncAPI document.

FastStream describes payloads through pydantic, which refuses ``msgspec`` structs; this asks
``msgspec`` instead, so the document shows exactly what the codec accepts.
"""

from __future__ import annotations

from typing import Any

import msgspec

DEFINITIONS = "$defs"
BINARY_SCHEMA = {"type": "string", "format": "binary"}


def payload_schema(body_type: Any, title: str) -> dict[str, Any]:
    """Return a titled JSON Schema of ``body_type``; what it refers to is under ``$defs``.

    A type that JSON Schema cannot tell (a custom class) becomes "anything", under its title.
    """
    if body_type is bytes:
        return {"title": title, **BINARY_SCHEMA}
    try:
        (schema,), definitions = msgspec.json.schema_components(
            [body_type], ref_template=f"#/{DEFINITIONS}/{{name}}"
        )
    except TypeError:
        return {"title": title}
    schema, definitions = _inlined(schema, dict(definitions))
    payload = {"title": title, **schema}
    if definitions:
        payload[DEFINITIONS] = definitions
    return payload


def _inlined(
    schema: dict[str, Any], definitions: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Replace a schema that is one reference by what it refers to."""
    reference = schema.get("$ref")
    if reference is None:
        return schema, definitions
    name = reference.rpartition("/")[2]
    target = definitions[name]
    if not _mentions(definitions, reference):
        del definitions[name]
    return target, definitions


def _mentions(node: Any, reference: str) -> bool:
    if isinstance(node, dict):
        return any(_mentions(value, reference) for value in node.values())
    if isinstance(node, list):
        return any(_mentions(value, reference) for value in node)
    return bool(node == reference)
