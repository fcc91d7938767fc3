"""A real PgBouncer on loopback in front of a ``LocalPostgres``, in transaction mode."""

import os
import shutil
import tempfile
from pathlib import Path

from deploy.local.ports import LOOPBACK, free_port, is_free
from deploy.local.postgres import ROLE, LocalPostgres
from deploy.local.processes import ManagedProcess, Program, unprivileged

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / "deploy" / "pgbouncer" / "pgbouncer.ini"
PROGRAM = Program(("pgbouncer",), package="pgbouncer")


class LocalPgbouncer(ManagedProcess):
    """Lets ``pool_size`` connections per database through to ``server``. A context.

    It refuses to run as root: then it runs as ``postgres`` or ``nobody``, as PostgreSQL does, in a
    folder of its own under the system's temporary folder.
    """

    def __init__(self, server: LocalPostgres, *, pool_size: int) -> None:
        self.port = free_port()
        self._server = server
        self._pool_size = pool_size
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
        (self.folder / "pgbouncer.ini").write_text(
            f"%include {self.folder / 'common.ini'}\n"
            f"listen_addr = {LOOPBACK}\n"
            f"listen_port = {self.port}\n"
            f"unix_socket_dir =\n"
            f"auth_type = trust\n"
            f"auth_file = {self.folder / 'users.txt'}\n"
            f"default_pool_size = {self._pool_size}\n"
            f"[databases]\n"
            f"* = host={LOOPBACK} port={self._server.port}\n"
        )
        if self._user:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, self._user.uid, self._user.gid)
        super().start()
        self.wait_ready(lambda: not is_free(self.port))
