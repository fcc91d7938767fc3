"""What a fact is, and the CloudEvents envelope in which other services read it.

The facts themselves are in `app.contracts.events`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Literal, get_type_hints

from pydantic import (
    AwareDatetime,
    BaseModel,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import SchemaValidator, core_schema

from telemetry.catalogue.labels import Channel, Device, Entry, Traffic


class ContractBroken(Exception):
    """A fact with a member that its type does not allow. The text names members, never values."""


def text_of(most: int) -> StringConstraints:
    """A text that every database can store: at most so many characters, none of them NUL."""
    return StringConstraints(max_length=most, pattern=r"^[^\x00]*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventContext:
    """Who and where, the same for every fact of one request.

    `session_id` is empty for callers without a session, `visitor_id` without the shopper's consent
    to be known again; `campaign` is the raw utm_campaign (the
    ledger maps unknown ones to `other`); `release` is the version that served the request;
    `traceparent` is the W3C context of the span in which the fact was stated.
    """

    session_id: Annotated[str, text_of(80)] = ""
    visitor_id: Annotated[str, text_of(40)] = ""
    market: Annotated[str, text_of(8)] = ""
    channel: Channel = "api"
    device: Device = "unknown"
    entry: Entry = "direct"
    campaign: Annotated[str, text_of(100)] = ""
    release: Annotated[str, text_of(60)] = ""
    variant: Annotated[str, text_of(80)] = ""
    traffic: Traffic = "human"
    traceparent: Annotated[str, text_of(60)] = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """Base of all facts; `TYPE` is the CloudEvents type."""

    TYPE: ClassVar[str] = ""


def values_of(stated: Fact | EventContext) -> dict[str, Any]:
    """The fields by name. All are flat: `dataclasses.asdict` would copy each one deeply."""
    kind: Any = type(stated)
    return {name: getattr(stated, name) for name in _names(kind)}


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def checked(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that `kind` has. Raises `ContractBroken` unless all are as it declares.

    Types are taken at their word: `"5"` is no number, and 5 no text. Costs about 1 µs.
    """
    try:
        found: dict[str, Any] = _contract(kind).validate_python(values, strict=True)
    except ValidationError as error:
        raise ContractBroken(f"{kind.__name__}: {_faults(error)}") from None
    return found


@cache
def _contract(kind: Any) -> SchemaValidator:
    hints = get_type_hints(kind, include_extras=True)
    members = {
        each.name: core_schema.typed_dict_field(
            TypeAdapter(hints[each.name]).core_schema, required=each.default is MISSING
        )
        for each in fields(kind)
    }
    return SchemaValidator(core_schema.typed_dict_schema(members))


def _faults(error: ValidationError) -> str:
    """What is wrong where, without what was given: it may be anything."""
    found = error.errors(include_input=False, include_context=False, include_url=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)[:300]


@dataclass(frozen=True, slots=True)
class Event:
    """One CloudEvent as consumers read it.

    `position` is gapless per source, from 1, in the order in which consumers see events.
    """

    id: str
    source: str
    type: str
    time: str
    position: int
    data: Mapping[str, Any]
    context: EventContext = field(default_factory=EventContext)

    def to_wire(self) -> dict[str, Any]:
        """CloudEvents 1.0 JSON; context attributes are extension attributes (no underscores)."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": f"/{self.source}",
            "type": self.type,
            "time": self.time,
            "datacontenttype": "application/json",
            "sequence": self.position,
            **{
                key.replace("_", ""): value
                for key, value in values_of(self.context).items()
                if value
            },
            "data": dict(self.data),
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Event:
        """Raises `ContractBroken` for what is no CloudEvent of ours.

        A context's closed sets are open here: a later version may know more members.
        """
        try:
            _Envelope.model_validate(wire)
            context = {name: wire[key] for name, key in _EXTENSIONS.items() if key in wire}
            _CONTEXT.validate_python(context)
        except ValidationError as error:
            raise ContractBroken(f"envelope: {_faults(error)}") from None
        return cls(
            id=wire["id"],
            source=wire["source"].lstrip("/"),
            type=wire["type"],
            time=wire["time"],
            position=wire["sequence"],
            data=wire["data"],
            context=EventContext(**context),
        )


class _Envelope(BaseModel):
    specversion: Literal["1.0"]
    id: Annotated[str, text_of(80)]
    source: Annotated[str, text_of(80)]
    type: Annotated[str, text_of(80)]
    time: AwareDatetime
    sequence: StrictInt
    data: dict[str, Any]


_CONTEXT: Final = TypeAdapter(dict[str, Annotated[str, text_of(100)]])
_EXTENSIONS: Final = {name: name.replace("_", "") for name in _names(EventContext)}
