"""The real gateway on loopback: nginx with the configuration that docker-compose.yml mounts."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from rigs.ports import LOOPBACK, free_port
from rigs.processes import ManagedProcess, Program

ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = ROOT / "deploy" / "gateway"
PROGRAM = Program(("nginx",), package="nginx")


def upstreams(addresses: Mapping[str, str]) -> str:
    """The text of ``upstreams.conf``; a service's replicas are host:port addresses and blanks."""
    return "".join(
        f"upstream {service} {{ "
        + "".join(f"server {replica} max_fails=0; " for replica in replicas.split())
        + "keepalive 8; keepalive_timeout 4s; }\n"
        for service, replicas in addresses.items()
    )


class LocalGateway(ManagedProcess):
    """nginx in ``folder``, routing to ``services`` (as ``upstreams`` takes them).

    ``proxies`` stand in front of it. ``start`` returns once it answers. ``check`` is ``nginx -t``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        services: Mapping[str, str],
        port: int | None = None,
        proxies: Sequence[str] = (),
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self._root = folder.resolve()  # nginx's paths are below its own prefix
        self.services = dict(services)
        self._proxies = tuple(proxies)
        super().__init__("nginx", ["nginx", *self._arguments()], log_path=self._root / "nginx.log")

    def start(self) -> None:
        """Write the configuration, start, and wait until the gateway answers for itself."""
        self._prepare()
        super().start()
        self.wait_ready(f"{self.url}/gateway/health")

    def check(self) -> str:
        """What ``nginx -t`` says about the configuration.

        Raises:
            ValueError: nginx refuses it; the message is nginx's.
        """
        self._prepare()
        done = subprocess.run(
            [self.command[0], "-t", *self._arguments()],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise ValueError(done.stderr)
        return done.stderr

    def _arguments(self) -> list[str]:
        return [
            *("-p", f"{self._root}{os.sep}", "-c", str(self._root / "nginx.conf")),
            # In the foreground, so that the pid is the one that was started. As root, the workers
            # stay who we are: they could not write below a folder that is closed to others.
            *("-g", "daemon off;" + (" user root;" if os.geteuid() == 0 else "")),
        ]

    def _prepare(self) -> None:
        self.command = (str(PROGRAM.require()), *self.command[1:])
        self._root.mkdir(parents=True, exist_ok=True)
        for name in ("nginx.conf", "mime.conf", "fallen.conf", "callers.conf"):
            shutil.copy(CONFIGURATION / name, self._root)
        (self._root / "listen.conf").write_text(
            f"listen {LOOPBACK}:{self.port};\nroot {CONFIGURATION.parent};\n"
        )
        (self._root / "upstreams.conf").write_text(upstreams(self.services))
        (self._root / "proxies.conf").write_text(
            "".join(f"set_real_ip_from {proxy};\n" for proxy in self._proxies)
        )
