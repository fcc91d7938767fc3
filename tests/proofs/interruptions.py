"""Breaking off between any two statements: the database goes away at the n-th one, or right after.

On PostgreSQL a proxy stands between the application and the server and counts round trips; on
SQLite the driver's connections count statements. Neither knows what the application does above the
driver, so neither has to change when that changes.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

SSL_REQUEST: Final = 80877103
"""The code in place of a protocol version with which a client asks for TLS (PostgreSQL docs,
"Message Formats")."""
ROUND_TRIPS: Final = (b"S", b"Q")
"""Sync and simple Query: each ends one round trip of a client that waits for its answer."""


@dataclass
class Fuse:
    """Armed, it blows at the n-th statement: before it is carried out, or after it was.

    After a commit the caller then does not know that it happened, as when a process dies between
    the commit and its answer.
    """

    left: int = 0
    after: bool = False
    blown: bool = False
    counted: int = 0
    """Statements since the beginning, armed or not: a fuse that sees none proves nothing."""

    def arm(self, statement: int, *, after: bool) -> None:
        self.left, self.after, self.blown = statement, after, False

    def disarm(self) -> None:
        self.left = 0

    def blows(self) -> bool:
        """Count one statement; whether this is the one."""
        self.counted += 1
        if self.left == 0:
            return False
        self.left -= 1
        self.blown = self.left == 0
        return self.blown


# --- PostgreSQL -----------------------------------------------------------------------------


class _Messages:
    """Cuts a client's byte stream into messages; those before the session begins have no type."""

    def __init__(self) -> None:
        self._buffer = b""
        self._began = False

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Complete messages as (type, bytes); the type is empty during start-up."""
        self._buffer += data
        while True:
            head = 1 if self._began else 0
            if len(self._buffer) < head + 8 - 4 * head:
                return
            length = head + int.from_bytes(self._buffer[head : head + 4], "big")
            if len(self._buffer) < length:
                return
            message, self._buffer = self._buffer[:length], self._buffer[length:]
            if not self._began:
                self._began = int.from_bytes(message[4:8], "big") != SSL_REQUEST
                yield b"", message
            else:
                yield message[:1], message


class CuttingProxy:
    """Stands before a PostgreSQL on loopback and cuts the connection at which the fuse blows."""

    def __init__(self, fuse: Fuse, port: int) -> None:
        self._fuse = fuse
        self._server_port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """The port on which it listens."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        answering = asyncio.create_task(_pass_on(up_reader, writer))
        try:
            await self._requests(reader, up_writer, answering, up_reader)
        except ConnectionError:
            pass
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            for each in (up_writer, writer):
                each.transport.abort()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
        answering: asyncio.Task[None],
        up_reader: asyncio.StreamReader,
    ) -> None:
        messages = _Messages()
        while data := await reader.read(65536):
            for type_, message in messages.feed(data):
                if type_ in ROUND_TRIPS and self._fuse.blows():
                    if self._fuse.after:
                        answering.cancel()
                        await asyncio.gather(answering, return_exceptions=True)
                        up_writer.write(message)
                        await up_reader.read(1)  # carried out; nobody hears of it
                    return
                up_writer.write(message)
            await up_writer.drain()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return
    writer.transport.abort()


# --- SQLite ---------------------------------------------------------------------------------


def _disk_gone() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


def _counted(fuse: Fuse, run: Callable[..., Any], *arguments: Any) -> Any:
    blows = fuse.blows()
    if blows and not fuse.after:
        raise _disk_gone()
    result = run(*arguments)
    if blows:
        raise _disk_gone()
    return result


class _CountingCursor(sqlite3.Cursor):
    connection: _CountingConnection

    def execute(self, *arguments: Any) -> Any:
        return _counted(self.connection.fuse, super().execute, *arguments)

    def executemany(self, *arguments: Any) -> Any:
        return _counted(self.connection.fuse, super().executemany, *arguments)


class _CountingConnection(sqlite3.Connection):
    fuse: Fuse

    def cursor(self, factory: Any = _CountingCursor) -> Any:
        return super().cursor(factory)

    def execute(self, *arguments: Any) -> Any:
        return self.cursor().execute(*arguments)

    def executemany(self, *arguments: Any) -> Any:
        return self.cursor().executemany(*arguments)

    def commit(self) -> None:
        _counted(self.fuse, super().commit)


@contextmanager
def counting_sqlite(fuse: Fuse) -> Iterator[None]:
    """Within the block every new SQLite connection of this process counts its statements."""
    original = sqlite3.connect

    def connect(*arguments: Any, **named: Any) -> Any:
        opened: Any = original(*arguments, **{"factory": _CountingConnection, **named})
        if isinstance(opened, _CountingConnection):
            opened.fuse = fuse
        return opened

    sqlite3.connect = connect
    try:
        yield
    finally:
        sqlite3.connect = original
