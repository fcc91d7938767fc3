"""What kind of file a feed is, told by its first bytes: text, packed text, or something else."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from app.catalog.feeds.record import FeedUnreadable
from app.catalog.feeds.spool import CHUNK_BYTES, spool

LARGEST_UNPACKED: Final = 96 << 20
"""Bytes of text that a packed feed may hold: as many as one that is sent plain."""

_GZIP: Final = b"\x1f\x8b"
_ARCHIVE: Final = "Unpack it and send the text, or pack it with gzip."
_EXPORT: Final = "Export the stock as delimited text."
_ZLIB_LEVELS: Final = (b"\x01", b"\x5e", b"\x9c", b"\xda")
_OTHER_KINDS: Final[tuple[tuple[bytes, str, str], ...]] = (
    (
        b"PK\x03\x04",
        "a zip archive or a spreadsheet (.xlsx, .ods)",
        "Save it as tab-delimited text in UTF-8.",
    ),
    (b"PK\x05\x06", "an empty zip archive", "Send the text itself."),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet (.xls)", "Save it as tab-delimited text in UTF-8."),
    (b"BZh", "packed with bzip2", _ARCHIVE),
    (b"\xfd7zXZ", "packed with xz", _ARCHIVE),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", _ARCHIVE),
    (b"7z\xbc\xaf", "a 7-Zip archive", _ARCHIVE),
    (b"Rar!", "a RAR archive", _ARCHIVE),
    (b"\x1f\x9d", "packed with compress (.Z)", _ARCHIVE),
    (b"\x04\x22\x4d\x18", "packed with lz4", _ARCHIVE),
    (b"\x5d\x00\x00", "packed with lzma", _ARCHIVE),
    *((b"\x78" + level, "packed with deflate (zlib)", _ARCHIVE) for level in _ZLIB_LEVELS),
    (b"PAR1", "a Parquet table", _EXPORT),
    (b"Obj\x01", "an Avro table", _EXPORT),
    (b"ARROW1", "an Arrow table", _EXPORT),
    (b"SQLite format 3\x00", "an SQLite database", _EXPORT),
    (b"\x89PNG", "a picture (PNG)", _EXPORT),
    (b"\xff\xd8\xff", "a picture (JPEG)", _EXPORT),
    (b"GIF8", "a picture (GIF)", _EXPORT),
    (b"RIFF", "a picture or a sound (RIFF)", _EXPORT),
    (b"\xff\xfe\x00\x00", "written in UTF-32", "Save it as UTF-8."),
    (b"\x00\x00\xfe\xff", "written in UTF-32", "Save it as UTF-8."),
    (b"%PDF", "a PDF document", _EXPORT),
    (b"{\\rtf", "an RTF document", _EXPORT),
)
_MARKUP: Final = (
    (("<!doctype html", "<html"), "a web page (perhaps an error page or a login)"),
    (("<?xml", "<rss", "<feed", "<"), "XML"),
    (("{", "["), "JSON"),
)
_BYTE_ORDER_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


@contextmanager
def opened(content: BinaryIO) -> Iterator[BinaryIO]:
    """The feed's text, unpacked when it is packed with gzip.

    Raises `FeedUnreadable` for any other kind of file, naming it and what to send instead.
    """
    if not _start_of(content).startswith(_GZIP):
        _refuse_other_kinds(_start_of(content))
        yield content
        return
    with spool() as unpacked:
        for part in _gunzipped(content):
            unpacked.write(part)
        start = _start_of(unpacked)
        if start.startswith(_GZIP):
            raise FeedUnreadable("The feed is packed with gzip twice; pack it once.")
        _refuse_other_kinds(start)
        yield unpacked


def _start_of(content: BinaryIO) -> bytes:
    content.seek(0)
    return content.read(1000)


def _refuse_other_kinds(start: bytes) -> None:
    for mark, kind, advice in _OTHER_KINDS:
        if start.startswith(mark):
            raise FeedUnreadable(f"The feed is {kind}, not delimited text in UTF-8. {advice}")
    if start[257:262] == b"ustar":
        raise FeedUnreadable(f"The feed is a tar archive, not delimited text in UTF-8. {_ARCHIVE}")
    if start.startswith(b"--") and b"content-disposition" in start.lower():
        raise FeedUnreadable(
            "The feed is a form (multipart) with the file inside; send the file itself as the "
            "body, as curl --data-binary @FILE does."
        )
    _refuse_markup(start[:200])


def _gunzipped(packed: BinaryIO) -> Iterator[bytes]:
    """All members of a gzip file (RFC 1952), at most `LARGEST_UNPACKED` bytes of them."""
    room = LARGEST_UNPACKED
    packed.seek(0)
    waiting = packed.read(CHUNK_BYTES)
    while waiting.startswith(_GZIP):
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            if not waiting:
                raise FeedUnreadable(
                    "The feed is packed with gzip and cut off; send the whole file."
                )
            try:
                part = member.decompress(waiting, CHUNK_BYTES)
            except zlib.error as error:
                raise FeedUnreadable(
                    f"The feed is packed with gzip and damaged ({error}); pack it again."
                ) from error
            room -= len(part)
            if room < 0:
                raise FeedUnreadable(
                    f"The feed unpacks to more than {LARGEST_UNPACKED >> 20} MiB; is it the stock "
                    "of one source?"
                )
            yield part
            waiting = member.unconsumed_tail or packed.read(CHUNK_BYTES)
        # What was read last belongs behind what the member has left over.
        waiting = member.unused_data + waiting
        if len(waiting) < len(_GZIP):
            waiting += packed.read(CHUNK_BYTES)


def _refuse_markup(start: bytes) -> None:
    encoding = "utf-16" if start.startswith(_BYTE_ORDER_MARKS[1:]) else "utf-8-sig"
    text = start[: len(start) // 2 * 2].decode(encoding, errors="ignore").lstrip().casefold()
    for marks, kind in _MARKUP:
        if text.startswith(marks):
            raise FeedUnreadable(
                f"The feed is {kind}, not delimited text: its first line must name the columns, "
                "like id, brand, model. Send the text format."
            )
