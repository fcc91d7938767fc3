"""Delimited text as numbered lists of cells: encoding, line ends and quotation marks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from app.catalog.feeds.packaging import text_of
from app.catalog.feeds.record import FeedUnreadable

MOST_LINES_IN_A_CELL = 50
# Looking for the end of quoted values may cost that many times the text's length, and a bit for
# each line; behind that a quotation mark is a sign like any other.
_MOST_EFFORT = 8
_EFFORT_OF_A_LINE = 50


def decode(content: bytes) -> str:
    """The feed's text. A byte that is no UTF-8 becomes a lone surrogate (PEP 383) in its cell.

    Raises `FeedUnreadable` for what is no text, and for UTF-16 that cannot be read.
    """
    content = text_of(content)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError as error:
            raise FeedUnreadable(
                f"The feed is damaged UTF-16 ({error.reason} at byte {error.start}); save it as "
                "UTF-8."
            ) from error
    if b"\x00" in content.lstrip().partition(b"\n")[0]:
        raise FeedUnreadable(
            "The feed's first line holds NUL bytes, so it is not UTF-8 text (perhaps UTF-16 "
            "without a byte order mark, or a spreadsheet file); save it as UTF-8 text."
        )
    return content.decode("utf-8-sig", errors="surrogateescape")


def records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that hold a value, each with the number of its (first) line and its cells.

    One line is one record, unless a quoted value holds line breaks. Quoting is RFC 4180's; a
    stray quotation mark is a sign like any other.
    """
    # Not splitlines(): it also cuts at form feeds and separators, which belong to the cell.
    whole = text.replace("\r\n", "\n")
    lines = (whole if "\n" in whole else whole.replace("\r", "\n")).split("\n")
    whole_rows = range(0)
    effort = _MOST_EFFORT * (len(text) + _EFFORT_OF_A_LINE)
    at = 0
    while at < len(lines):
        cells, used = _cells(lines[at], delimiter), 1
        if whole_rows and effort > 0 and _open(cells):
            following = lines[at : at + MOST_LINES_IN_A_CELL]
            cells, used, spent = _continued(following, cells, whole_rows, delimiter)
            effort -= spent
        if any(cell.strip() for cell in cells):
            whole_rows = whole_rows or range(_filled(cells), len(cells) + 1)
            yield at + 1, cells
        at += used


def _filled(cells: list[str]) -> int:
    """How many cells there are up to the last one that holds something."""
    return max(place for place, cell in enumerate(cells, start=1) if cell.strip())


@cache
def _cell(delimiter: str) -> re.Pattern[str]:
    # A quoted cell ends where its closing mark meets a separator or the row's end; "" is one mark.
    mark = re.escape(delimiter)
    return re.compile(rf'(?:\A|{mark})(?: *(")((?:[^"]+|"")*+)" *(?={mark}|\Z)|([^{mark}]*))')


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of one line. Only a cell quoted as a whole is quoted: `19" alloys` is not."""
    if '"' not in line:
        return line.split(delimiter)
    return [
        quoted.replace('""', '"') if mark else plain
        for mark, quoted, plain in _cell(delimiter).findall(line)
    ]


def _open(cells: list[str]) -> int:
    """How many cells begin with a quotation mark that nothing closed."""
    return sum(cell.lstrip().startswith('"') for cell in cells)


def _continued(
    lines: list[str], cells: list[str], whole_rows: range, delimiter: str
) -> tuple[list[str], int, int]:
    """The row when a quoted value goes on in the next lines; `cells` when nothing closes it.

    With the number of lines and the effort. Taken only where it gives one cell for each named
    column and no line of it is a row by itself, so that a stray quotation mark, or two, swallow no
    car.
    """
    spent = 0
    for used in range(2, len(lines) + 1):
        line = lines[used - 1]
        spent += len(line) + _EFFORT_OF_A_LINE
        if len(_cells(line, delimiter)) >= whole_rows.start:
            break
        if '"' in line:
            joined = _cells("\n".join(lines[:used]), delimiter)
            spent += sum(map(len, joined))
            if len(joined) in whole_rows and _open(joined) < _open(cells):
                return joined, used, spent
    return cells, 1, spent
