"""Every text that a request may bring has an end: no route takes one without saying how long."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import TypeAdapter

from app.contracts.sandbox import WebhookEvent
from app.embedded import SERVICES
from app.insight.api.beacons import Beacon
from tests.builders.applications import Document, documents
from tests.builders.schemas import texts

ENDLESS = {
    "header authorization": "compared or hashed, never kept; 32 KiB of headers is the most",
    "header Idempotency-Key": "a longer key than 128 characters is kept as its SHA-256",
    "path market": "one of the markets, or 404",
    "path language": "one of the languages, or 404",
    "path step": "one of the questions, or 404",
    "path code": "one of the problems, or 404",
    "path name": "a file, board or runbook that we have, or 404",
    "path file": "a file that was built, or 404",
    "path payment_id": "on the practice provider's pages: at most 40 letters and digits, or 404",
    "path version": "the pictures of this version, or 404",
    "query next": "one of our own pages, or the overview; read and sent back, never kept",
    "query range": "one of the ranges, or 422",
    "body.alerts.[].labels.*": "Alertmanager's; cut where they are kept as columns",
    "body.alerts.[].annotations.*": "the same",
}
"""Texts that no schema bounds, and what does."""


def endless(schema: Mapping[str, Any], parts: Mapping[str, Any], at: str) -> Iterator[str]:
    """Where in a schema a text may be as long as it likes."""
    for place, found in texts(schema, parts):
        if not _ends(found):
            yield ".".join((at, *place))


def _ends(schema: Mapping[str, Any]) -> bool:
    repeats = re.sub(r"\[[^]]*\]", "", schema.get("pattern", "*"))
    closed = any(key in schema for key in ("maxLength", "enum", "const", "format"))
    return closed or not re.search(r"[*+]|,\}", repeats)


def requests_of(document: Document) -> Iterator[str]:
    """Every endless text of every route."""
    parts = document.get("components", {}).get("schemas", {})
    for methods in document["paths"].values():
        for operation in methods.values():
            for one in operation.get("parameters", ()):
                yield from endless(one["schema"], parts, f"{one['in']} {one['name']}")
            for body in operation.get("requestBody", {}).get("content", {}).values():
                yield from endless(body["schema"], parts, "body")


@pytest.fixture(scope="module")
def found() -> dict[str, set[str]]:
    """Endless texts by service: of its public and its internal application."""
    assert {len(both) for both in documents().values()} == {2}
    return {
        name: {text for document in both for text in requests_of(document)}
        for name, both in documents().items()
    }


def test_every_text_of_a_request_is_bounded(found: dict[str, set[str]]) -> None:
    assert {name: those - set(ENDLESS) for name, those in found.items()} == {
        name: set() for name in SERVICES
    }


@pytest.mark.parametrize("message", [WebhookEvent, Beacon], ids=["webhook", "beacon"])
def test_what_is_read_from_raw_bytes_is_bounded_too(message: Any) -> None:
    schema = TypeAdapter(message).json_schema()
    assert list(endless(schema, schema.get("$defs", {}), "body")) == []


def test_no_exception_is_kept_for_nothing(found: dict[str, set[str]]) -> None:
    assert set(ENDLESS) <= set().union(*found.values())


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "string", "pattern": "^pi_[a-z]+$"},
        {"type": "string", "pattern": "^[^x]*$"},
        {"type": "array", "items": {"type": "string", "minLength": 1}},
        {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Open"}]},
        {"type": "object", "additionalProperties": {"type": "string", "pattern": "a{2,}"}},
    ],
)
def test_a_text_without_an_end_is_found(schema: dict[str, Any]) -> None:
    assert list(endless(schema, {"Open": {"type": "string"}}, "body"))
