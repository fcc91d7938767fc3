"""A whole shop to attack, in either shape: embedded, or services behind the gateway."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from app.frame.keys import SECRETS
from rigs.postgres import LocalPostgres
from rigs.processes import ManagedProcess
from rigs.production import LocalProduction
from rigs.shop import SERVICES, operator_headers
from tests.builders.running import running_shop

LONG: Final = os.environ.get("VITRINE_PROOFS") == "long"
"""Short in `make test`, long in `make prove-doors`."""

NAMES: Final = frozenset(secret.variable for secret in SECRETS)

Shape = Literal["embedded", "production"]


@dataclass(frozen=True)
class House:
    """A running shop: `url` is what the world sees, `internal` a service's internal port."""

    shape: Shape
    url: str
    internal: Callable[[str], str]
    processes: Mapping[str, ManagedProcess]
    """By service; in the embedded shape all names lead to the one process."""
    secrets: Mapping[str, str]
    environment: Callable[[str], dict[str, str]]
    """What a service's process was told; its commands are told the same."""
    folders: tuple[Path, ...]
    """Where its processes keep everything: databases, logs, traces."""
    postgres: LocalPostgres | None = None

    @property
    def operator(self) -> dict[str, str]:
        """Headers that open the internal ports to a person."""
        return operator_headers(self.secrets["VITRINE_SESSION_KEY"])


@contextmanager
def opened(shape: Shape, folder: Path, **environment: str) -> Iterator[House]:
    """A shop with its files in `folder` and `environment` added to every process's."""
    if shape == "production":
        with LocalProduction(folder, environment=environment) as shop:
            yield House(
                shape,
                shop.gateway.url,
                lambda service: shop.addresses[service].internal_url,
                shop.services,
                shop.secrets,
                shop.environment,
                (folder, shop.postgres.folder),
                shop.postgres,
            )
        return
    with running_shop(folder, **environment) as embedded:
        told = embedded.environment
        yield House(
            shape,
            embedded.base_url,
            lambda _: embedded.internal_url,
            dict.fromkeys(SERVICES, embedded.process),
            {name: value for name, value in told.items() if name in NAMES},
            lambda _: told,
            (folder,),
        )
