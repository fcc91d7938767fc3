"""What a fact is, and the CloudEvents envelope in which other services read it.

The facts themselves are in `app.contracts.events`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, ClassVar, Literal

Traffic = Literal["human", "bot", "synthetic"]
Channel = Literal["web", "api", "dealer"]
Device = Literal["phone", "tablet", "desktop", "unknown"]
Entry = Literal["direct", "advisor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventContext:
    """Who and where, the same for every fact of one request.

    `session_id` is empty for callers without a session; `campaign` is the raw utm_campaign (the
    ledger maps unknown ones to `other`); `release` is the version that served the request;
    `traceparent` is the W3C context of the span in which the fact was stated.
    """

    session_id: str = ""
    market: str = ""
    channel: Channel = "api"
    device: Device = "unknown"
    entry: Entry = "direct"
    campaign: str = ""
    release: str = ""
    variant: str = ""
    traffic: Traffic = "human"
    traceparent: str = ""


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
        context = {
            f.name: wire[f.name.replace("_", "")]
            for f in fields(EventContext)
            if f.name.replace("_", "") in wire
        }
        return cls(
            id=wire["id"],
            source=wire["source"].lstrip("/"),
            type=wire["type"],
            time=wire["time"],
            position=int(wire["sequence"]),
            data=wire["data"],
            context=EventContext(**context),
        )
