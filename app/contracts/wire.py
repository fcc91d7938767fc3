"""Shapes that several public APIs share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from app.kernel.clock import rfc3339

Market = Literal["SE", "NO", "DK", "FI", "US"]
"""ISO 3166-1 alpha-2."""

CURRENCY_OF_MARKET: Final[dict[str, str]] = {
    "SE": "SEK",
    "NO": "NOK",
    "DK": "DKK",
    "FI": "EUR",
    "US": "USD",
}

CarState = Literal["available", "held", "reserved", "sold"]

Timestamp = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
"""RFC 3339 UTC on the wire."""


class Wire(BaseModel):
    """Base of all wire models: unknown members are ignored, so that services may grow apart."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class MoneyWire(Wire):
    """An amount in minor units of an ISO 4217 currency."""

    amount: Annotated[int, Field(ge=-(2**53), le=2**53)]
    """Within what JSON numbers hold exactly everywhere (RFC 8259, section 6)."""
    currency: str


class Problem(Wire):
    """RFC 9457 problem document; further members depend on the type."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    trace_id: str | None = None


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    code: {"model": Problem, "description": text, "content": {"application/problem+json": {}}}
    for code, text in {
        400: "The request could not be read",
        401: "The credentials are missing or do not fit",
        404: "There is nothing at this address",
        409: "The state does not allow it",
        413: "The request is too large",
        422: "A value is not valid",
        429: "Too many requests from this caller",
        503: "Not available for the moment",
    }.items()
}


def problem_responses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` for the problems that a route may answer with."""
    return {code: PROBLEMS[code] for code in codes}
