"""The shop's processes on loopback: all six services in one, or one of them in a process.

Whoever starts a shop (demo, rehearsals, proofs, benchmarks, tests) gets its environment here and
names only what is different about theirs.
"""

import base64
import hashlib
import hmac
import os
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rigs.ports import LOOPBACK, free_ports
from rigs.processes import ManagedProcess, ProgramMissing

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120.0
SECRETS = (
    "SESSION_KEY",
    "SYNTHETIC_KEY",
    "DEALER_KEY",
    "DELIVERY_KEY",
    "ALERT_KEY",
    "REPORT_KEY",
    "PAYMENT_KEY",
    "WEBHOOK_SECRET",
    "CONSOLE_PASSWORD",
)
SERVICES = ("catalog", "advisor", "checkout", "storefront", "insight", "sandbox")
SETTINGS = ("VITRINE_", *(f"{service.upper()}_" for service in SERVICES))
"""What a variable of the shop begins with."""

PRODUCTION = {"VITRINE_ENVIRONMENT": "production", "VITRINE_ALLOW_SANDBOX_IN_PRODUCTION": "true"}
"""Production, where the practice provider takes the money."""


@dataclass(frozen=True)
class Address:
    """Where a process of the shop listens on loopback."""

    port: int
    internal_port: int

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def internal_url(self) -> str:
        return f"http://{LOOPBACK}:{self.internal_port}"

    @property
    def ready_url(self) -> str:
        """Answers with a success once the process can do its work."""
        return f"{self.internal_url}/health/ready"


def free_addresses(count: int) -> list[Address]:
    ports = free_ports(2 * count)
    return [Address(*ports[2 * n : 2 * n + 2]) for n in range(count)]


def new_secrets() -> dict[str, str]:
    """A value for every secret that production insists on."""
    values = {f"VITRINE_{name}": secrets.token_urlsafe(24) for name in SECRETS}
    # A Fernet key: 32 random bytes.
    values["VITRINE_CUSTOMER_KEY"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return values


def operator_headers(session_key: str) -> dict[str, str]:
    """What opens the internal port of a shop with that `VITRINE_SESSION_KEY` (deploy/ask.py)."""
    key = hmac.new(session_key.encode(), b"internal operator", hashlib.sha256).hexdigest()
    return {"authorization": f"Bearer {key}"}


def without_settings() -> dict[str, str]:
    """This program's environment but for what was set for some other shop."""
    return {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}


def shop_environment(
    folder: Path,
    address: Address,
    *,
    service: str = "",
    given: Mapping[str, str] | None = None,
    different: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """What a process of the shop is told, with its data and flags in `folder`.

    Without a `service` it is all six in one. `given` is what it is started from: no setting of
    ours, unless the shop is a person's own, who may have set some.
    """
    prefix = (service or "vitrine").upper()
    return {
        **(without_settings() if given is None else given),
        f"{prefix}_PORT": str(address.port),
        f"{prefix}_INTERNAL_PORT": str(address.internal_port),
        "VITRINE_DATA": str(folder / "data"),
        "VITRINE_FLAGS": str(folder / "flags.json"),
        **(different or {}),
    }


def urls_of(addresses: Mapping[str, Address]) -> dict[str, str]:
    """Where each of some services is, as the others are told."""
    return {
        variable: url
        for service, address in addresses.items()
        for variable, url in (
            (f"{service.upper()}_URL", address.url),
            (f"{service.upper()}_INTERNAL_URL", address.internal_url),
        )
    }


def shop_process(
    environment: Mapping[str, str],
    log_path: Path,
    *,
    service: str = "",
    name: str = "The shop",
    core: int | None = None,
    code: Path = ROOT,
) -> ManagedProcess:
    """`python -m app` from the folder `code`, or one service of it; on one core if that is named.

    The interpreter and its packages are this program's, whatever the code.
    """
    module = f"app.{service}" if service else "app"
    return ManagedProcess(
        name,
        pinned([sys.executable, "-m", module], core),
        log_path=log_path,
        environment=environment,
        folder=code,
    )


def pinned(command: Sequence[str], core: int | None) -> list[str]:
    """The command on one core only; as it is when `core` is None."""
    taskset = shutil.which("taskset")
    if core is None:
        return list(command)
    if taskset is None:
        raise ProgramMissing("taskset is not installed (Debian's util-linux has it)")
    return [taskset, "--cpu-list", str(core), *command]
