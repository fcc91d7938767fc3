"""Files without a name, for what is larger than memory should hold: gone when they are closed.

They lie in the folder that `TMPDIR` names (Python's `tempfile`). It is to be a disk: in a
container a tmpfs is memory.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import BinaryIO, Final, cast

from app.kernel.errors import Unavailable

CHUNK_BYTES: Final = 64 * 1024
"""So much of a file is in memory at once."""

_NO_ROOM: Final = frozenset((errno.ENOSPC, errno.EDQUOT))


@contextmanager
def spool() -> Iterator[BinaryIO]:
    """An empty file; raises `Unavailable` when something in the block finds the disk full."""
    try:
        with TemporaryFile() as file:
            yield cast("BinaryIO", file)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise Unavailable(
                "There is no room to put the feed down while it is read; nothing was changed."
            ) from error
        raise


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """The whole file from its start."""
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
