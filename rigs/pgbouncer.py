"""A real PgBouncer on loopback in front of a ``LocalPostgres``, in transaction mode."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rigs.ports import LOOPBACK, free_port, is_free
from rigs.postgres import ROLE, LocalPostgres
from rigs.processes import ManagedProcess, Program, unprivileged

ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = ROOT / "deploy" / "pgbouncer" / "pgbouncer.ini"
PROGRAM = Program(("pgbouncer",), package="pgbouncer")


class LocalPgbouncer(ManagedProcess):
    """In front of ``server``. A context; ``settings`` overrides ``deploy/pgbouncer/pgbouncer.ini``.

    It refuses to run as root: then it runs as ``postgres`` or ``nobody``, as PostgreSQL does, in a
    folder of its own under the system's temporary folder.
    """

    def __init__(self, server: LocalPostgres, *, settings: Mapping[str, str]) -> None:
        self.port = free_port()
        self._server = server
        self._settings = dict(settings)
        self._user = unprivileged("postgres", "nobody")
        self.folder = Path(tempfile.mkdtemp(prefix="vitrine-pgbouncer-"))
        super().__init__(
            "PgBouncer",
            ["pgbouncer", str(self.folder / "pgbouncer.ini")],
            log_path=self.folder / "pgbouncer.log",
            folder=self.folder,
            user=self._user,
        )

    def __exit__(self, *_: object) -> None:
        super().stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """The SQLAlchemy address of one database, through the pooler."""
        return f"postgresql+asyncpg://{ROLE}@{LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Write the configuration, start, and wait until it listens."""
        self.command = (str(PROGRAM.require()), *self.command[1:])
        (self.folder / "common.ini").write_text(CONFIGURATION.read_text())
        (self.folder / "users.txt").write_text(f'"{ROLE}" ""\n')
        own = {
            "listen_addr": LOOPBACK,
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": str(self.folder / "users.txt"),
            **self._settings,
        }
        (self.folder / "pgbouncer.ini").write_text(
            f"%include {self.folder / 'common.ini'}\n"
            + "".join(f"{name} = {value}\n" for name, value in own.items())
            + f"[databases]\n* = host={LOOPBACK} port={self._server.port}\n"
        )
        if self._user:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, self._user.uid, self._user.gid)
        super().start()
        self.wait_ready(lambda: not is_free(self.port))
