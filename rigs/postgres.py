"""A real PostgreSQL on loopback, for tests: made, restarted, stalled, killed and removed at will.

It never touches the system's clusters. PostgreSQL refuses to run as root: then it runs as
``postgres`` or ``nobody``, in a folder of its own under the system's temporary folder (a test's
folder is closed to other users).
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rigs.ports import LOOPBACK, free_port
from rigs.processes import ManagedProcess, NotReady, Program, unprivileged
from rigs.shop import SERVICES

ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = ROOT / "deploy" / "postgres" / "postgresql.conf"
ROLE = "vitrine"

# Debian installs server programs per major version; the newest one is taken.
FOLDERS = tuple(
    str(folder)
    for folder in sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: float(folder.parent.name),
        reverse=True,
    )
)
SERVER = Program(("postgres",), package="postgresql", folders=FOLDERS)

# A machine that loses power is not part of any test; killing the server is, and needs no fsync.
TEST_SETTINGS = {"fsync": "off", "full_page_writes": "off"}


class LocalPostgres(ManagedProcess):
    """One server with one database per service, all owned by one role without a password.

    ``settings`` overrides ``deploy/postgres/postgresql.conf``. ``start`` returns once every
    database is there; ``stop`` keeps the data for another ``start``; ``remove`` (and leaving the
    context) stops it and deletes the data.
    """

    def __init__(
        self,
        *,
        databases: Sequence[str] = SERVICES,
        port: int | None = None,
        settings: Mapping[str, str] = TEST_SETTINGS,
    ) -> None:
        self.port = port or free_port()
        self.databases = tuple(databases)
        self._server_user = unprivileged("postgres", "nobody")
        self.folder = Path(tempfile.mkdtemp(prefix="vitrine-postgres-"))
        self._data = self.folder / "data"
        if self._server_user:
            os.chown(self.folder, self._server_user.uid, self._server_user.gid)
        options = {
            **settings,
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
        }
        super().__init__(
            "PostgreSQL",
            [
                "postgres",
                *("-D", self._data, "-c", f"config_file={self.folder / 'postgresql.conf'}"),
                *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
            ],
            log_path=self.folder / "postgres.log",
            folder=self.folder,
            user=self._server_user,
            # Fast shutdown: disconnects clients. Immediate, when nobody is left to wait for it.
            stop_signal=signal.SIGINT,
            parent_death_signal=signal.SIGQUIT,
        )

    def __exit__(self, *_: object) -> None:
        self.remove()

    def url(self, database: str, *, driver: str = "postgresql+asyncpg") -> str:
        """The SQLAlchemy address of one database (``driver="postgresql"`` for a plain one)."""
        return f"{driver}://{ROLE}@{LOOPBACK}:{self.port}/{database}"

    def start(self) -> None:
        """Create the cluster at the first start; start; create the databases that are missing."""
        server = SERVER.require()
        self.command = (str(server), *self.command[1:])
        if not self._data.exists():
            self._initialise(server.with_name("initdb"))
        super().start()
        self.wait_ready(self.accepts_connections)
        existing = set(self.query("SELECT datname FROM pg_database").split())
        for database in self.databases:
            if database not in existing:
                self.query(f'CREATE DATABASE "{database}"')

    def restart(self) -> None:
        """Stop it as a planned maintenance would, and start it again on the same port."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop it and delete its data."""
        if self.running:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def accepts_connections(self) -> bool:
        return self._client("SELECT 1", "postgres").returncode == 0

    def query(self, sql: str, *, database: str = "postgres") -> str:
        """What ``psql`` prints for a statement: rows as lines, columns between ``|``.

        Raises:
            NotReady: the statement failed; the message is the server's.
        """
        done = self._client(sql, database)
        if done.returncode != 0:
            raise NotReady(f"PostgreSQL: {done.stderr.strip()}")
        return done.stdout.strip()

    def _client(self, sql: str, database: str) -> subprocess.CompletedProcess[str]:
        psql = Path(self.command[0]).with_name("psql")
        return subprocess.run(
            [
                *(str(psql), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", LOOPBACK),
                *("-p", str(self.port), "-U", ROLE, "-d", database, "-c", sql),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
            env={key: value for key, value in os.environ.items() if not key.startswith("PG")},
        )

    def _initialise(self, initdb: Path) -> None:
        user = self._server_user
        done = subprocess.run(
            [
                *(str(initdb), "-D", str(self._data), "-U", ROLE, "--auth=trust", "--no-sync"),
                *("--encoding=UTF8", "--locale=C.UTF-8"),
            ],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )
        if done.returncode != 0:
            raise NotReady(f"initdb failed.\n{done.stderr}")
        shutil.copy(CONFIGURATION, self.folder / "postgresql.conf")
        # initdb ran as the server's user; this file was written as us.
        (self.folder / "postgresql.conf").chmod(0o644)
