"""Delimited text as numbered lists of cells: encoding, line ends and quotation marks.

A feed is read from its file, some lines at a time and as often as it takes.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain, islice
from typing import BinaryIO, Final

from app.catalog.feeds.packaging import opened
from app.catalog.feeds.record import FeedUnreadable
from app.catalog.feeds.spool import chunks, spool

MOST_LINES: Final = 100_000
MOST_LINES_IN_A_CELL: Final = 50
LONGEST_HEADER: Final = 100_000
LONGEST_LINE: Final = 256 * 1024
"""Bytes: more than a car's columns with their longest values need, and little enough to hold."""

# Looking for the end of quoted values may cost that many times the text's length, and a bit for
# each line; behind that a quotation mark is a sign like any other.
_MOST_EFFORT = 8
_EFFORT_OF_A_LINE = 50
_MARK = codecs.BOM_UTF8
_MARKS_OF_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BEYOND_ASCII = re.compile("[\u0080-\ud7ff\ue000-\U0010ffff]")


class Text:
    """A feed's text. A byte that is no UTF-8 is a lone surrogate (PEP 383) in its line.

    `size` counts its bytes. One reader at a time, as all share one file.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Raises `FeedUnreadable` for what is no text, and for more of it than is read."""
        self._file = file
        ends = dict.fromkeys((b"\n", b"\r"), 0)
        self.size = 0
        for chunk in chunks(file):
            self.size += len(chunk)
            for end in ends:
                ends[end] += chunk.count(end)
        # Not splitlines(): it also cuts at form feeds and separators, which belong to the cell.
        self._end = b"\n" if ends[b"\n"] else b"\r"
        file.seek(0)
        _refuse(file.read(4 * LONGEST_HEADER + len(_MARK)), max(ends.values()))

    def lines(self) -> Iterator[str]:
        """Its lines without their ends; raises `FeedUnreadable` for one that is too long."""
        for number, line in enumerate(self._cut(), start=1):
            if len(line) > LONGEST_LINE:
                raise FeedUnreadable(
                    f"The feed's line {number} has more than {LONGEST_LINE:,} bytes; is it one car?"
                )
            yield line.decode("utf-8", errors="surrogateescape")

    def _cut(self) -> Iterator[bytes]:
        rest, mark = b"", _MARK
        for chunk in chunks(self._file):
            *whole, rest = (rest + chunk.removeprefix(mark)).split(self._end)
            mark = b""
            for line in whole:
                yield line.removesuffix(b"\r")
            if len(rest) > LONGEST_LINE:
                break
        yield rest

    @property
    def only_strays_beyond_ascii(self) -> bool:
        """Whether all that is not ASCII in it are bytes that are no UTF-8, and there are some."""
        strays = False
        for line in self.lines():
            if not line.isascii():
                if _BEYOND_ASCII.search(line):
                    return False
                strays = True
        return strays


@contextmanager
def opened_text(content: BinaryIO) -> Iterator[Text]:
    """The feed's text; raises `FeedUnreadable` for what is none."""
    with opened(content) as plain:
        plain.seek(0)
        if plain.read(len(_MARKS_OF_UTF16[0])) not in _MARKS_OF_UTF16:
            yield Text(plain)
            return
        with spool() as text:
            for part in _from_utf16(plain):
                text.write(part)
            yield Text(text)


def _from_utf16(content: BinaryIO) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-16")()
    at = 0
    for chunk in chain(chunks(content), [b""]):
        begins = at - len(decoder.getstate()[0])  # with what the decoder has kept
        at += len(chunk)
        try:
            yield decoder.decode(chunk, final=not chunk).encode()
        except UnicodeDecodeError as error:
            raise FeedUnreadable(
                f"The feed is damaged UTF-16 ({error.reason} at byte {begins + error.start}); save "
                "it as UTF-8."
            ) from error


def _refuse(start: bytes, lines: int) -> None:
    """What a file costs to read is bounded by its lines and by the columns of its header."""
    if b"\x00" in start.lstrip().partition(b"\n")[0]:
        raise FeedUnreadable(
            "The feed's first line holds NUL bytes, so it is not UTF-8 text (perhaps UTF-16 "
            "without a byte order mark, or a spreadsheet file); save it as UTF-8 text."
        )
    if lines > MOST_LINES:
        raise FeedUnreadable(
            f"The feed has {lines:,} lines; {MOST_LINES:,} is the most. Is it the stock of one "
            "source in one market?"
        )
    first = start.decode("utf-8-sig", errors="surrogateescape")[: LONGEST_HEADER + 1]
    if len(first) > LONGEST_HEADER and "\n" not in first and "\r" not in first:
        raise FeedUnreadable(
            f"The feed's first line has more than {LONGEST_HEADER:,} characters; it must name the "
            "columns and end with a line break."
        )


def records(text: Text, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that hold a value, each with the number of its (first) line and its cells.

    One line is one record, unless a quoted value holds line breaks. Quoting is RFC 4180's; a
    stray quotation mark is a sign like any other.
    """
    lines = text.lines()
    ahead: deque[str] = deque()
    whole_rows = range(0)
    effort = _MOST_EFFORT * (text.size + _EFFORT_OF_A_LINE)
    number = 1
    while (line := ahead.popleft() if ahead else next(lines, None)) is not None:
        cells, used = _cells(line, delimiter), 1
        if whole_rows and effort > 0 and _open(cells):
            ahead.extend(islice(lines, MOST_LINES_IN_A_CELL - 1 - len(ahead)))
            cells, used, spent = _continued([line, *ahead], cells, whole_rows, delimiter)
            effort -= spent
        for _ in range(used - 1):
            ahead.popleft()
        if any(cell.strip() for cell in cells):
            whole_rows = whole_rows or range(_filled(cells), len(cells) + 1)
            yield number, cells
        number += used


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
