"""Dealer keys: who may send which source's feed, and act for which dealers' cars and orders.

`VITRINE_DEALER_KEYS` lists them as JSON, or names a file that does. `VITRINE_DEALER_KEY` is the
operator's own and opens every source and dealer.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from app.frame.keys import SECRETS, KeysMissing, Secret, fault
from app.frame.settings import PlatformSettings
from app.kernel.errors import NotAuthorised, VitrineError
from telemetry.catalogue.outcomes import Outcome

VARIABLE: Final = "VITRINE_DEALER_KEYS"
OPERATOR: Final = "operator"
"""Whose key `VITRINE_DEALER_KEY` is, and who imports at the command line."""

_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,38}$"
_Name = Annotated[str, StringConstraints(pattern=_NAME)]
_Dealer = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,80}$")]
_RULE: Final = Secret("key")


class DealerKeyElsewhere(VitrineError):
    """A good key, for somebody else's source or cars."""

    code, title = "dealer-key-elsewhere", "This dealer key is for other sources or dealers"
    outcome, status = Outcome.REFUSED, 403


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whose key it is and what it opens; `None` opens all."""

    name: str
    sources: frozenset[str] | None = None
    dealers: frozenset[str] | None = None

    def check_source(self, source: str) -> None:
        """Raises `DealerKeyElsewhere`."""
        if self.sources is None or source in self.sources:
            return
        raise DealerKeyElsewhere(
            f"The key of {self.name} imports {_listed('source', self.sources)}, and not {source}."
            f" Send {source} with its own key, or ask the shop's operator to add it to this one.",
            key=self.name,
            sources=sorted(self.sources),
        )

    def check_dealer(self, dealer: str) -> None:
        """Raises `DealerKeyElsewhere`, which does not tell whose it is."""
        if self.dealers is None or dealer in self.dealers:
            return
        raise DealerKeyElsewhere(
            f"The key of {self.name} is for {_listed('dealer', self.dealers)}, and this is another"
            " dealer's. Use that dealer's own key, or ask the shop's operator to add the dealer to"
            " this one.",
            key=self.name,
            dealers=sorted(self.dealers),
        )


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: _Name
    key: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,200}$")] = Field(repr=False)
    sources: Annotated[frozenset[_Name], Field(min_length=1)] | None = None
    dealers: Annotated[frozenset[_Dealer], Field(min_length=1)] | None = None


@dataclass(frozen=True, slots=True)
class DealerKeys:
    """Every dealer key by its SHA-256, so that all are compared in the same time."""

    _holders: Mapping[bytes, KeyHolder] = field(repr=False)

    @classmethod
    def of(cls, settings: PlatformSettings) -> Self:
        """Raises `KeysMissing` with one sentence, which names an entry and never a key."""
        entries = read(settings.dealer_keys)
        others = {s.variable: getattr(settings, s.field, "") for s in SECRETS}
        found = faults(entries, others, strict=settings.environment == "production")
        if found:
            raise KeysMissing(f"{VARIABLE}, {'; '.join(found)}.")
        holders = {
            _digest(entry.key): KeyHolder(
                entry.name, entry.sources or frozenset(), entry.dealers or frozenset()
            )
            for entry in entries
        }
        if settings.dealer_key:
            holders[_digest(settings.dealer_key)] = KeyHolder(OPERATOR)
        return cls(holders)

    def unknown(
        self, sources: Collection[str], dealers: Collection[str]
    ) -> list[tuple[str, list[str], list[str]]]:
        """By the name of a key: the sources and dealers that it names and the shop has not."""
        found = [
            (
                holder.name,
                sorted((holder.sources or frozenset()).difference(sources)),
                sorted((holder.dealers or frozenset()).difference(dealers)),
            )
            for holder in self._holders.values()
        ]
        return [each for each in found if each[1] or each[2]]

    def holder(self, given: str) -> KeyHolder:
        """Whose key it is; raises `NotAuthorised` for nobody's."""
        sent = _digest(given)
        found = [holder for key, holder in self._holders.items() if hmac.compare_digest(key, sent)]
        if not found:
            raise NotAuthorised("This needs a dealer key: Authorization: Bearer <key>.")
        return found[0]


_SAID: Final = {"extra_forbidden": "is an unknown field", "missing": "is missing"}
_MUST: Final = {
    "": "must be an object with name, key, and sources or dealers",
    "name": "must be of small letters, digits, - and _, at most 39",
    "key": "must be of printable ASCII characters without blanks, at most 200",
    "sources": "must be a list of sources, like nordbil; leave it out where it imports none",
    "dealers": "must be a list of dealer_ids, like SE-UME-1; leave it out where it is for none",
}
"""What each field must be; a message of pydantic's would be about patterns and types."""


def read(text: str) -> list[_Entry]:
    """The entries of the setting: JSON, or a file's path; none when it is empty."""
    text = text.strip()
    if not text:
        return []
    if text[0] not in "[{":
        try:
            text = Path(text).read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            raise KeysMissing(
                f"{VARIABLE} is neither a JSON list nor a file that can be read"
                f" ({getattr(error, 'strerror', None) or 'it is not UTF-8 text'})."
            ) from error
    try:
        values = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise KeysMissing(
            f"{VARIABLE} is not JSON (line {error.lineno}, column {error.colno})."
        ) from None  # its document is full of keys
    except (ValueError, RecursionError):
        raise KeysMissing(f"{VARIABLE} is not JSON.") from None
    if not isinstance(values, list) or not values:
        raise KeysMissing(
            f"{VARIABLE} must be a JSON list with an entry for each key, like"
            ' [{"name": "nordbil", "key": "…", "sources": ["nordbil"], "dealers": ["SE-UME-1"]}];'
            " leave it unset when the operator's key is the only one."
        )
    return [_entry(number, value) for number, value in enumerate(values, start=1)]


def faults(entries: Sequence[_Entry], others: Mapping[str, str], *, strict: bool) -> list[str]:
    """What is wrong with the entries taken together; `others` are all other secrets by variable.

    `strict` holds them to production's rule of secrets.
    """
    found = []
    names = {OPERATOR: "the operator's key"}
    keys = {value.strip(): variable for variable, value in others.items() if value.strip()}
    for number, entry in enumerate(entries, start=1):
        this = _called(number, entry.name)
        weakness = fault(_RULE, entry.key) if strict else None
        if entry.name in names:
            found.append(f"{this}: its name is taken by {names[entry.name]}")
        if entry.key in keys:
            found.append(f"{this}: its key equals {keys[entry.key]}")
        if weakness:
            found.append(f"{this}: its key {weakness}")
        if not (entry.sources or entry.dealers):
            found.append(f"{this}: opens nothing; name its sources or its dealers")
        names.setdefault(entry.name, f"entry {number}")
        keys.setdefault(entry.key, f"the key of entry {number}")
    return found


def _entry(number: int, value: Any) -> _Entry:
    name = value.get("name") if isinstance(value, dict) else None
    try:
        return _Entry.model_validate(value)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = str(problem["loc"][0]) if problem["loc"] else ""
        said = _SAID.get(problem["type"]) or _MUST[place]
        # What stands in the place of a name may be a key.
        called = name if isinstance(name, str) and place not in ("", "name") else ""
        raise KeysMissing(
            f"{VARIABLE}, {_called(number, called)}: {f'{place}: ' if place else ''}{said}."
        ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise KeysMissing(f"{VARIABLE}: one entry has the same field twice.")
    return found


def _called(number: int, name: str) -> str:
    return f"entry {number} ({name})" if name else f"entry {number}"


def _listed(noun: str, names: frozenset[str]) -> str:
    if not names:
        return f"no {noun}"
    return f"the {noun}{'s' if len(names) > 1 else ''} {', '.join(sorted(names))}"


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.strip().encode()).digest()
