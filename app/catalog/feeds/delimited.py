"""Delimited text as rows: encoding, header and shape, with a clear sentence for each fault."""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from app.catalog.feeds.packaging import text_of
from app.catalog.feeds.record import FeedUnreadable, Reason, Rejection

LONGEST_CELL = 5_000
MOST_LINES_IN_A_CELL = 50
SHOWN_CHARACTERS = 80
_DELIMITERS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "vertical bar"}
_PERSONAL = ("vin",)
# A quoted cell ends where its closing mark meets a separator or the row's end; "" is one mark.
_CELL = re.compile(r'(?:\A|\t)(?:(")((?:[^"]|"")*)"(?=\t|\Z)|([^\t]*))')
_BLANKS = re.compile(r"[\s_]+")
_AROUND_MARKS = re.compile(r"_?([():])_?")
# Signs that nobody sees and that programs leave behind: no part of any value.
_LEFTOVERS = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
# Others that nobody sees: what turns the direction of a text lets it read as it is not stored.
_INVISIBLE = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")


class Refused(Exception):
    """A row that cannot be accepted; `Row.rejection` turns it into a `Rejection`."""

    def __init__(self, field: str, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason
        self.message = message


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
        )

    def digest(self) -> str:
        """SHA-256 over the named cells, independent of the order of columns."""
        named = "\x1e".join(f"{name}\x1f{value}" for name, value in sorted(self.cells.items()))
        return hashlib.sha256(named.encode("utf-8")).hexdigest()


Required = str | tuple[str, ...]
"""A column that the header must name, or several of which it must name one."""


def read_rows(
    content: bytes,
    delimiter: str,
    *,
    required: Collection[Required],
    optional: Collection[str] = (),
) -> tuple[Row, ...]:
    """All data rows of a delimited text, with the cells of the named columns and no others.

    Lines without any character are no rows. Tab-delimited text has one row per line, unless a
    quoted value holds line breaks; comma-delimited text follows RFC 4180. A row with a structural
    fault carries it in `fault`; what stands in other columns is nobody's fault. Raises
    `FeedUnreadable` for faults of the whole file.
    """
    text = _decode(text_of(content))
    records = _tab_records(text) if delimiter == "\t" else _csv_records(text, delimiter)
    first = next(records, None)
    if first is None:
        raise FeedUnreadable("The feed is empty; its first line must name the columns.")
    header = [column_name(name) for name in first[1]]
    read = frozenset(optional).union(*(_alternatives(column) for column in required))
    _check_header(header, delimiter, required, read)
    return tuple(_row(number, cells, header, read) for number, cells in records)


def column_name(text: str) -> str:
    """A heading as we compare it: any case, blanks for underscores, with or without `g:`."""
    name = _clean(text).casefold().removeprefix("g:")
    return _AROUND_MARKS.sub(r"\1", _BLANKS.sub("_", name))


def _alternatives(column: Required) -> tuple[str, ...]:
    return (column,) if isinstance(column, str) else column


def repeated(values: Iterable[str]) -> frozenset[str]:
    """The values that occur more than once, empty ones left out."""
    return frozenset(value for value, times in Counter(values).items() if value and times > 1)


def _decode(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\x00" in content:
        raise FeedUnreadable(
            "The feed holds NUL bytes, so it is not UTF-8 text (perhaps UTF-16 without a byte "
            "order mark, or a spreadsheet file); save it as UTF-8 text."
        )
    else:
        encoding = "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        kind = "UTF-16" if encoding == "utf-16" else "UTF-8"
        raise FeedUnreadable(
            f"Line {line} is not {kind}: byte 0x{content[error.start]:02X} cannot be read "
            "(Windows or ISO 8859-1 text?); save the feed as UTF-8."
        ) from error


def _tab_records(text: str) -> Iterator[tuple[int, list[str]]]:
    # Not splitlines(): it also cuts at form feeds and separators, which belong to the cell.
    whole = text.replace("\r\n", "\n")
    lines = (whole if "\n" in whole else whole.replace("\r", "\n")).split("\n")
    columns = 0
    at = 0
    while at < len(lines):
        cells, used = _tab_cells(lines[at]), 1
        if len(cells) <= columns and cells[-1].startswith('"'):
            cells, used = _continued(lines[at : at + MOST_LINES_IN_A_CELL], cells, columns)
        if lines[at]:
            columns = columns or len(cells)
            yield at + 1, cells
        at += used


def _tab_cells(line: str) -> list[str]:
    """The cells of one line. Only a cell quoted as a whole is quoted: `19" alloys` is not."""
    if '"' not in line:
        return line.split("\t")
    return [
        quoted.replace('""', '"') if mark else plain for mark, quoted, plain in _CELL.findall(line)
    ]


def _continued(lines: list[str], cells: list[str], columns: int) -> tuple[list[str], int]:
    """The row when a quoted value goes on in the next lines; `cells` when nothing closes it.

    Taken only where it gives exactly one cell for each column and no line of it is a row by itself,
    so that a stray quotation mark, or two, swallow no car.
    """
    for used in range(2, len(lines) + 1):
        if len(_tab_cells(lines[used - 1])) >= columns:
            break
        joined = _tab_cells("\n".join(lines[:used]))
        if len(joined) > columns:
            break
        if len(joined) == columns and not joined[-1].startswith('"'):
            return joined, used
    return cells, 1


def _csv_records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    try:
        for cells in reader:
            number += 1
            if cells:
                yield number, cells
    except csv.Error as error:
        raise FeedUnreadable(
            f"Line {reader.line_num} breaks the quoting ({error}); check its quotation marks."
        ) from error


def _check_header(
    header: list[str], delimiter: str, required: Collection[Required], read: frozenset[str]
) -> None:
    if len(header) == 1:
        counts = {other: header[0].count(other) for other in _DELIMITERS if other != delimiter}
        other = max(counts, key=lambda mark: counts[mark])
        if counts[other]:
            raise FeedUnreadable(
                f"The columns are separated by {_DELIMITERS[other]}s; this source kind needs "
                f"{_DELIMITERS[delimiter]}s."
            )
    twice = sorted(repeated(header) & read)
    if twice:
        raise FeedUnreadable(f"The header names the column {twice[0]!r} twice; keep one.")
    missing = [
        names[0]
        for names in map(_alternatives, required)
        if not any(name in header for name in names)
    ]
    if missing:
        near = difflib.get_close_matches(missing[0], header, n=1)
        hint = f" Is {near[0]!r} meant as {missing[0]!r}?" if near else ""
        raise FeedUnreadable(f"The header lacks: {', '.join(missing)}.{hint}")


def _row(number: int, cells: list[str], header: list[str], read: frozenset[str]) -> Row:
    while len(cells) > len(header) and not cells[-1].strip():
        cells.pop()
    named = {name: _clean(cell) for name, cell in zip(header, cells, strict=False) if name in read}
    return Row(number, named, _fault(cells, header, named))


def _clean(cell: str) -> str:
    return cell.translate(_LEFTOVERS).strip()


def _fault(cells: list[str], header: list[str], named: Mapping[str, str]) -> Refused | None:
    if len(cells) < len(header):
        return Refused(
            header[len(cells)],
            Reason.ROW_TRUNCATED,
            f"the row ends after {len(cells)} of {len(header)} columns; "
            f"{header[len(cells)]} is the first one missing. Export the row again.",
        )
    if len(cells) > len(header):
        return Refused(
            header[-1],
            Reason.ROW_TOO_LONG,
            f"the row has {len(cells)} cells for {len(header)} columns; "
            "a value holds the separator. Put that value into quotation marks, or remove it.",
        )
    for name, value in named.items():
        mark = next((c for c in value if unicodedata.category(c) in _INVISIBLE), None)
        if mark is not None:
            return Refused(
                name,
                Reason.CONTROL_CHARACTER,
                f"{name} holds the invisible character U+{ord(mark):04X}; remove it.",
            )
        if len(value) > LONGEST_CELL:
            return Refused(
                name,
                Reason.TEXT_TOO_LONG,
                f"{name} has {len(value)} characters; {LONGEST_CELL} is the most.",
            )
    return None
