"""The one shape of all reports: a heading, a total, rows by segments; as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.insight.ledger.sums import Key
from app.insight.reports.comparing import changes

Numbers = Mapping[str, Any]
"""Numbers by name; a member may be nested, or a list of amounts by currency."""


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` by the values of `keys`; `nothing` is what a row without an entry says.

    `comparable`: whether another period has the same rows; cohorts have none in common.
    """

    total: Numbers
    keys: Sequence[str] = ()
    rows: Mapping[Key, Numbers] = field(default_factory=dict)
    nothing: Numbers = field(default_factory=dict)
    comparable: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """A table with its heading; `before` is the same of the period that it is compared with.

    `flat`: the total's members also stand beside the heading, as they did before there were rows.
    """

    heading: Numbers
    table: Table
    before: Table | None = None
    flat: Sequence[str] = ()
    rows_named: str = "rows"

    def as_json(self) -> dict[str, Any]:
        total = self._total()
        body = {**self.heading, **{name: total[name] for name in self.flat}}
        if self.table.keys:
            body[self.rows_named] = self._rows()
        return {**body, "total": total}

    def as_csv(self) -> str:
        """`name,value` lines; with segments a line for each and one for the whole.

        Nested names are joined with dots; an amount is in minor units of the currency in its name.
        """
        total = self._total()
        if not self.table.keys:
            lines = flattened({**self.heading, **total})
            return written([("name", "value"), *lines.items()])
        keys = self.table.keys
        rows = [*self._rows(), {**dict.fromkeys(keys, ""), keys[0]: "total", **total}]
        flat = [flattened(row) for row in rows]
        names = {name: None for row in flat for name in row}
        return written([tuple(names), *(tuple(row.get(n, "") for n in names) for row in flat)])

    def _total(self) -> dict[str, Any]:
        return self._compared(self.table.total, None if self.before is None else self.before.total)

    def _rows(self) -> list[dict[str, Any]]:
        table, before = self.table, self.before if self.table.comparable else None
        found = list(table.rows)
        if before is not None:
            found += sorted(key for key in before.rows if key not in table.rows)
        return [
            {
                **dict(zip(table.keys, key, strict=True)),
                **self._compared(
                    table.rows.get(key, table.nothing),
                    None if before is None else before.rows.get(key, before.nothing),
                ),
            }
            for key in found
        ]

    def _compared(self, numbers: Numbers, before: Numbers | None) -> dict[str, Any]:
        if before is None:
            return dict(numbers)
        return {**numbers, "before": dict(before), "change": changes(numbers, before)}


def amounts(value: Mapping[str, int | float]) -> list[dict[str, Any]]:
    """Money by currency, sorted; in minor units."""
    return [{"amount": value[name], "currency": name} for name in sorted(value)]


def ratio(part: int, whole: int) -> float | None:
    """0 to 1; None where nothing could be divided."""
    return part / whole if whole else None


def flattened(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted names; empty for what is not known."""
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            found |= flattened(inner, f"{prefix}{name}.")
        elif isinstance(inner, list | tuple):
            found |= _listed(inner, f"{prefix}{name}")
        else:
            found[f"{prefix}{name}"] = "" if inner is None else inner
    return found


def _listed(values: Sequence[Any], name: str) -> dict[str, Any]:
    """Amounts by currency; what is no amount as one text."""
    if not all(isinstance(each, Mapping) for each in values):
        return {name: " ".join(map(str, values))}
    found: dict[str, Any] = {}
    for each in values:
        rest = {key: value for key, value in each.items() if key not in ("currency", "amount")}
        if "amount" in each:
            found[f"{name}.{each['currency']}"] = each["amount"]
        found |= flattened(rest, f"{name}.{each['currency']}.")
    return found


def written(lines: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    return out.getvalue()
