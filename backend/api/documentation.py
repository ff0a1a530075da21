"""What OpenAPI says of bodies that we read ourselves (strictly, and with messages that name the measure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, cast

import msgspec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema

from backend import schema

_REFERENCE = "#/$defs/"


def json_schema(type_: type[msgspec.Struct]) -> dict[str, object]:
    """Return a struct's JSON schema in one piece: what it refers to is put in its place."""
    (root,), definitions = msgspec.json.schema_components(
        (type_,), schema_hook=_anything, ref_template=f"{_REFERENCE}{{name}}"
    )
    return cast(dict[str, object], _inline(root, definitions))


def _anything(_: type) -> dict[str, object]:
    """Describe a type that has no schema of its own, such as the values of a filter."""
    return {"description": "any JSON value"}


def _inline(node: object, definitions: dict[str, Any]) -> object:
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inline(definitions[node["$ref"].removeprefix(_REFERENCE)], definitions)
    return {name: _inline(value, definitions) for name, value in node.items()}


def _content(type_: type[msgspec.Struct]) -> OpenAPIMediaType:
    # Litestar passes a plain JSON schema through; its own `Schema` could not hold all that msgspec says.
    return OpenAPIMediaType(schema=cast(Schema, json_schema(type_)))


class IngestForm(schema.IngestRequest, frozen=True):
    """`file`, and the fields of the JSON body beside it; `metadata` is a JSON object as text."""

    file: Annotated[str, msgspec.Meta(extra_json_schema={"format": "binary"})] = ""
    metadata: str = ""  # type: ignore[assignment]


class CollectionForm(schema.CollectionRequest, frozen=True):
    """`file` is a zip, and the fields of the JSON body beside it, except `url`; `metadata` is a JSON object as text."""

    file: Annotated[str, msgspec.Meta(extra_json_schema={"format": "binary"})] = ""
    metadata: str = ""  # type: ignore[assignment]


def reads(json: type[msgspec.Struct], *, form: type[msgspec.Struct] | None = None) -> type[Operation]:
    """Return a Litestar operation class that documents a request's body, as JSON or also as a form."""

    @dataclass
    class Reading(Operation):
        def __post_init__(self) -> None:
            content = {"application/json": _content(json)}
            if form is not None:
                content["multipart/form-data"] = _content(form)
            self.request_body = RequestBody(content=content, required=True)

    return Reading
