"""Shapes that several public APIs share."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from app.kernel.clock import rfc3339
from app.kernel.errors import NOT_AN_IDENTIFIER

Language = Literal["sv", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
"""What the shop speaks (ISO 639-1)."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,79}")


def _identifier(value: str) -> str:
    if _IDENTIFIER.fullmatch(value) is None:
        raise PydanticCustomError(
            NOT_AN_IDENTIFIER,
            "An identifier begins with a letter or digit; at most 80 letters, digits, _ . : -",
        )
    return value


Identifier = Annotated[
    str,
    AfterValidator(_identifier),
    WithJsonSchema({"type": "string", "pattern": rf"^{_IDENTIFIER.pattern}$"}),
]
"""What names a car, a hold, an order, a model: safe in an address, a header and a cookie's path."""


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError(
            "outside_the_calendar", "The moment lies outside of the years 1 to 9999 in UTC"
        ) from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A moment that a caller names, in UTC."""

Term = Annotated[str, StringConstraints(max_length=100)]
"""What a list is narrowed by: no name of a model, a dealer, a car or a colour is longer."""

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
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


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
        403: "The credentials are good, and for something else",
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
