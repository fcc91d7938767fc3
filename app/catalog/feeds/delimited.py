"""Delimited text as rows: header and shape, with a clear sentence for each fault."""

from __future__ import annotations

import difflib
import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import BinaryIO

from app.catalog.feeds.lines import Text, opened_text, records
from app.catalog.feeds.record import FeedUnreadable, Reason, Rejection

LONGEST_CELL = 5_000
SHOWN_CHARACTERS = 80
_DELIMITERS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "vertical bar"}
_PERSONAL = ("vin",)
_BLANKS = re.compile(r"[\s_]+")
_AROUND_MARKS = re.compile(r"_?([():])_?")
# Signs that nobody sees and that programs leave behind: no part of any value.
_LEFTOVERS = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff")) | dict.fromkeys(
    map(ord, "\t\r\n"), " "
)
# Bytes that are no UTF-8 (see `decode`), as a reader may see them.
_UNDECODED = dict.fromkeys(range(0xDC80, 0xDD00), "\ufffd")
# Others that nobody sees: what turns the direction of a text lets it read as it is not stored.
_INVISIBLE = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")


class Refused(Exception):
    """A row that cannot be accepted; `Row.rejection` turns it into a `Rejection`."""

    def __init__(self, field: str, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason
        self.message = message


class Undecoded(Refused):
    """A row that holds a byte which is no UTF-8, in a cell that is read."""


@dataclass(frozen=True, slots=True)
class Row:
    """One data row: `number` counts the header as row 1, `cells` maps a read column to its text."""

    number: int
    cells: Mapping[str, str]
    fault: Refused | None = None

    def get(self, column: str) -> str:
        """The cell, empty when the column or the value is missing."""
        return self.cells.get(column, "")

    def need(self, column: str) -> str:
        """The cell; `Refused` when it is empty."""
        value = self.get(column)
        if not value:
            raise Refused(column, Reason.MISSING_VALUE, f"{column} is empty; every car needs one.")
        return value

    def rejection(self, refused: Refused, id_column: str) -> Rejection:
        """This row's rejection."""
        value = "" if refused.field in _PERSONAL else self.get(refused.field)
        return Rejection(
            row=self.number,
            stock_id=self.get(id_column) or None,
            field=refused.field,
            value=value[:SHOWN_CHARACTERS],
            reason=refused.reason,
            message=f"Row {self.number}: {refused.message}",
            vin=self.get("vin"),
        )

    def digest(self) -> str:
        """SHA-256 over the named cells, independent of the order of columns."""
        named = "\x1e".join(f"{name}\x1f{value}" for name, value in sorted(self.cells.items()))
        return hashlib.sha256(named.encode("utf-8")).hexdigest()


Required = str | tuple[str, ...]
"""A column that the header must name, or several of which it must name one."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What is read of a feed; other columns may be there, whatever stands in them.

    `several` are those that may stand several times, their values joined by commas, and may name
    their parts, like `shipping(country:price)`. `blank` must be in the header, but need no value.
    """

    required: tuple[Required, ...]
    optional: frozenset[str] = frozenset()
    several: frozenset[str] = frozenset()
    blank: frozenset[str] = frozenset()

    def read(self, header: list[str]) -> frozenset[str]:
        """The columns of the header that are read."""
        named = self.optional.union(*map(_alternatives, self.required))
        return frozenset(name for name in header if name in named or base(name) in self.several)

    def lacking(self, names: Collection[str]) -> list[tuple[str, ...]]:
        """The required columns, each with its alternatives, that are not among `names`."""
        there = {*names, *(base(name) for name in names if base(name) in self.several)}
        return [names for names in map(_alternatives, self.required) if there.isdisjoint(names)]


class Rows:
    """The data rows of a delimited text, read anew whenever they are gone through.

    With the cells of the columns that are read. A row with a fault of its own carries it in
    `fault`; what stands in other columns is nobody's fault.
    """

    def __init__(self, text: Text, delimiter: str, columns: Columns) -> None:
        """Raises `FeedUnreadable` for faults of the whole file."""
        self._text = text
        self._delimiter = delimiter
        self._columns = columns
        first = next(records(text, delimiter), None)
        if first is None:
            raise FeedUnreadable("The feed is empty; its first line must name the columns.")
        self._header = [column_name(name) for name in first[1]]
        self._read = columns.read(self._header)
        _check_header(self._header, delimiter, columns)
        if text.only_strays_beyond_ascii:
            _refuse_other_encoding(self)

    def __iter__(self) -> Iterator[Row]:
        lines = records(self._text, self._delimiter)
        next(lines)
        waiting: Row | None = None
        short = False
        for number, cells in lines:
            row = self._row(number, cells)
            torn = row.fault is not None and row.fault.reason is Reason.ROW_TRUNCATED
            if waiting is not None:
                if torn and short and waiting.fault is None:
                    # A line break inside a value left one part here and one there.
                    waiting = replace(waiting, fault=row.fault)
                yield waiting
            waiting = row
            short = not self._read.isdisjoint(self._header[len(cells) :])
        if waiting is not None:
            yield waiting

    def _row(self, number: int, cells: list[str]) -> Row:
        while len(cells) > len(self._header) and not cells[-1].strip():
            cells.pop()
        values = _values(cells, self._header, self._read)
        named = {name: ",".join(texts) for name, texts in values.items()}
        fault = _misshapen(cells, self._header, named, self._columns, self._delimiter) or _misread(
            values, named, self._columns, self._delimiter
        )
        return Row(
            number, {name: text.translate(_UNDECODED) for name, text in named.items()}, fault
        )


@contextmanager
def opened_rows(content: BinaryIO, delimiter: str, columns: Columns) -> Iterator[Rows]:
    """The rows of a file; raises `FeedUnreadable` for faults of the whole file."""
    with opened_text(content) as text:
        yield Rows(text, delimiter, columns)


def column_name(text: str) -> str:
    """A heading as we compare it: any case, blanks for underscores, with or without `g:`."""
    name = _clean(text).translate(_UNDECODED).casefold().removeprefix("g:")
    return _AROUND_MARKS.sub(r"\1", _BLANKS.sub("_", name))


def base(name: str) -> str:
    """A column's name without the parts of its values: `shipping` of `shipping(country:price)`."""
    return name.partition("(")[0]


def _alternatives(column: Required) -> tuple[str, ...]:
    return (column,) if isinstance(column, str) else column


def _refuse_other_encoding(rows: Rows) -> None:
    """Refuse a text of ASCII and stray bytes when these are too many to be single mishaps."""
    count, strange, first = 0, 0, 0
    for row in rows:
        count += 1
        if isinstance(row.fault, Undecoded):
            strange += 1
            first = first or row.number
    if strange and (strange > max(2, count // 20) or strange == count):
        raise FeedUnreadable(
            f"The feed is not UTF-8 (Windows or ISO 8859-1 text?): {strange} of {count} "
            f"rows, beginning with row {first}, hold bytes that cannot be read; save "
            "the feed as UTF-8."
        )


def _check_header(header: list[str], delimiter: str, columns: Columns) -> None:
    if len(header) == 1:
        counts = {other: header[0].count(other) for other in _DELIMITERS if other != delimiter}
        other = max(counts, key=lambda mark: counts[mark])
        if counts[other]:
            raise FeedUnreadable(
                f"The columns are separated by {_DELIMITERS[other]}s; this source kind needs "
                f"{_DELIMITERS[delimiter]}s."
            )
    missing = [names[0] for names in columns.lacking(header)]
    if missing and any("\ufffd" in name for name in header):
        raise FeedUnreadable(
            "The header is not UTF-8 (Windows or ISO 8859-1 text, or no text at all?); save the "
            "feed as UTF-8 text."
        )
    if missing:
        near = difflib.get_close_matches(missing[0], header, n=1)
        hint = f" Is {near[0]!r} meant as {missing[0]!r}?" if near else ""
        raise FeedUnreadable(f"The header lacks: {', '.join(missing)}.{hint}")


def _values(cells: list[str], header: list[str], read: frozenset[str]) -> dict[str, list[str]]:
    """The different values of each column that is read; empty and missing cells are none."""
    values: dict[str, list[str]] = {}
    for name, cell in zip_longest(header, cells[: len(header)], fillvalue=""):
        if name in read:
            known, text = values.setdefault(name, []), _clean(cell)
            if text and text not in known:
                known.append(text)
    return values


def _clean(cell: str) -> str:
    return cell.translate(_LEFTOVERS).strip()


def _misshapen(
    cells: list[str],
    header: list[str],
    named: Mapping[str, str],
    columns: Columns,
    delimiter: str,
) -> Refused | None:
    """A row with too many cells, or one that ends before a cell that it needs.

    Programs leave out empty cells at a row's end. Where a quoted value holds separators it may
    have swallowed cells instead, so that such a row has to be whole.
    """
    if len(cells) > len(header):
        return Refused(
            header[-1],
            Reason.ROW_TOO_LONG,
            f"the row has {len(cells)} cells for {len(header)} columns; "
            "a value holds the separator. Put that value into quotation marks, or remove it.",
        )
    absent = [name for name in header[len(cells) :] if name]
    if not absent:
        return None
    swallowed = any(delimiter in cell or "\n" in cell for cell in cells)
    needed = [
        name
        for alternatives in columns.lacking([name for name, text in named.items() if text])
        if columns.blank.isdisjoint(alternatives)
        for name in absent
        if name in alternatives or base(name) in alternatives
    ]
    if not needed and not swallowed:
        return None
    first = min(needed, key=absent.index, default=absent[0])
    return Refused(
        first,
        Reason.ROW_TRUNCATED,
        f"the row ends after {len(cells)} of {len(header)} columns; {first} is missing. Export the "
        "row again; look for a line break or a stray quotation mark inside a value.",
    )


def _invisible(text: str) -> str | None:
    """The first sign in it that nobody sees."""
    if text.isprintable():  # what most are, told without looking at each sign
        return None
    return next((sign for sign in text if unicodedata.category(sign) in _INVISIBLE), None)


def _misread(
    values: Mapping[str, list[str]], named: Mapping[str, str], columns: Columns, delimiter: str
) -> Refused | None:
    """A value that cannot be believed as it stands."""
    for name, text in named.items():
        if len(values[name]) > 1 and base(name) not in columns.several:
            return Refused(
                name,
                Reason.CONTRADICTION,
                f"several columns are named {name}, and they differ; keep the right one.",
            )
        mark = _invisible(text)
        if mark is not None and ord(mark) in _UNDECODED:
            return Undecoded(
                name,
                Reason.MALFORMED_VALUE,
                f"{name} holds the byte 0x{ord(mark) - 0xDC00:02X}, which is not UTF-8 (Windows or "
                "ISO 8859-1 text?); save the feed as UTF-8.",
            )
        if mark is not None:
            return Refused(
                name,
                Reason.CONTROL_CHARACTER,
                f"{name} holds the invisible character U+{ord(mark):04X}; remove it.",
            )
        if len(text) > LONGEST_CELL:
            return Refused(
                name,
                Reason.TEXT_TOO_LONG,
                f"{name} has {len(text)} characters; {LONGEST_CELL} is the most.",
            )
        if delimiter == "," and text.startswith('"'):
            return Refused(
                name,
                Reason.MALFORMED_VALUE,
                f"{name} begins with a quotation mark that encloses no whole value; check the "
                "row's quotation marks.",
            )
    return None
