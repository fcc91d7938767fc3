"""The texts that a JSON schema (an OpenAPI document's, a model's) lets somebody send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Place = tuple[str, ...]
"""Where a text stands: names of members, `[]` for an item, `*` for any member."""

Schema = Mapping[str, Any]


def texts(schema: Schema, parts: Schema, at: Place = ()) -> Iterator[tuple[Place, Schema]]:
    """Every text with its own schema; `parts` are the named ones that others refer to."""
    schema = parts[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    inner = [(at, each) for key in ("anyOf", "oneOf", "allOf") for each in schema.get(key, ())]
    inner += [((*at, name), each) for name, each in schema.get("properties", {}).items()]
    inner += [
        ((*at, mark), schema[key])
        for key, mark in (("items", "[]"), ("additionalProperties", "*"))
        if isinstance(schema.get(key), dict)
    ]
    for place, each in inner:
        yield from texts(each, parts, place)
    if schema.get("type") == "string":
        yield at, schema
