"""A feed is read from its file some lines at a time, and is the same feed wherever it is cut."""

from __future__ import annotations

import errno
import gzip
import tracemalloc
from datetime import date
from io import BytesIO

import pytest

from app.catalog.feeds.google_vehicle_ads import ADAPTER
from app.catalog.feeds.lines import LONGEST_LINE, opened_text, records
from app.catalog.feeds.record import FeedContext, FeedUnreadable, StockRecord
from app.catalog.feeds.spool import CHUNK_BYTES, spool
from app.catalog.identity import VinHash
from app.catalog.range.loading import load_range
from app.catalog.staging import Documents, Feed, stage
from app.contracts.packed import pack, unpack
from app.kernel.errors import Unavailable
from tests.builders.feeds import exported

TODAY = date(2026, 11, 24)


def _context() -> FeedContext:
    return FeedContext.of("big", "SE", load_range(), TODAY)


def _lines(content: bytes) -> list[tuple[int, list[str]]]:
    with opened_text(BytesIO(content)) as text:
        return list(records(text, "\t"))


def test_reading_takes_less_memory_than_the_feed_is_long() -> None:
    content = exported(900, characters=4_000)
    with spool() as file:
        file.write(content)
        tracemalloc.start()
        try:
            taken = sum(isinstance(o, StockRecord) for o in ADAPTER.read(file, _context()))
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert taken == 900
    assert most < len(content) / 2


def test_what_waits_to_be_compared_takes_less_than_a_kilobyte_for_each_car() -> None:
    def kept(cars: int) -> int:
        with spool() as content, spool() as documents:
            content.write(exported(cars, characters=2_000))
            tracemalloc.start()
            try:
                staged = stage(
                    Feed("big", "SE", "google_vehicle_ads", content),
                    ADAPTER,
                    _context(),
                    identity_of=VinHash("ab" * 32),
                    documents=Documents(documents),
                    check=lambda _: None,
                )
                staged.notices.listed.clear()  # of the first thousand only
                left = tracemalloc.get_traced_memory()[0]
            finally:
                tracemalloc.stop()
        assert len(staged.offered) == cars
        return left

    kept(10)  # what is read once for all
    few, many = kept(100), kept(500)

    assert many - few < 400 * 1_000


@pytest.mark.parametrize("before", range(CHUNK_BYTES - 4, CHUNK_BYTES + 1))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_a_line_is_the_same_wherever_the_file_is_cut(before: int, end: str) -> None:
    first = "a" * (before - len(end))
    content = f"{first}{end}åäö\tb{end}{end}c\n\r"[: -2 if end == "\r" else None].encode()
    expected = [(1, [first]), (2, ["åäö", "b"]), (4, ["c"])]

    assert _lines(content) == expected
    assert _lines(b"\xef\xbb\xbf" + content) == expected
    assert _lines(content.decode().encode("utf-16")) == expected
    assert _lines(gzip.compress(content[:7]) + gzip.compress(content[7:])) == expected


def test_a_byte_that_damages_utf16_is_named_by_its_place_in_the_whole_file() -> None:
    content = ("å" * CHUNK_BYTES).encode("utf-16-le") + b"\x00\xd8\x41\x00"

    with pytest.raises(FeedUnreadable, match=f"at byte {2 + 2 * CHUNK_BYTES}\\)"):
        _lines(b"\xff\xfe" + content)


def test_a_line_that_no_car_needs_is_refused_by_its_number() -> None:
    content = b"id\tbrand\nA\t" + b"x" * (LONGEST_LINE + 1) + b"\n"

    with pytest.raises(FeedUnreadable, match="line 2 has more than 262,144 bytes"):
        _lines(content)


def test_a_full_disk_changes_nothing_and_says_so() -> None:
    with pytest.raises(Unavailable, match="no room"), spool():
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "car", [b"", b'{"car_id":"car_1","trim":"\xc3\xa5"}', bytes(range(256)) * 40]
)
def test_what_is_packed_is_unpacked_as_it_was(car: bytes) -> None:
    assert unpack(pack(car)) == car
