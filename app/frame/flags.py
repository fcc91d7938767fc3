"""Feature and fault flags: one flagd-format file, read through OpenFeature, reloaded on change.

A flag that is missing or damaged evaluates to the caller's default; a damaged file keeps the last
good state and is reported in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final, TypeVar

import orjson
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import OpenFeatureError
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason
from openfeature.provider.no_op_provider import NoOpProvider

from app.kernel.errors import CannotStart

POLL_SECONDS: Final = 0.5

FAULTS: Final[dict[str, float | bool]] = {
    "sandbox-latency-seconds": 0.0,
    "sandbox-error-ratio": 0.0,
    "sandbox-decline-ratio": 0.0,
    "checkout-payments-enabled": True,
}
"""Every flag that the code reads, with the value that means "nothing unusual"."""


_NUMBER: Final = count(1)
T = TypeVar("T", float, bool)


class Flags:
    """Evaluates flags from the file at `path` (made with all flags at rest when missing)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(orjson.dumps(resting_state(), option=orjson.OPT_INDENT_2))
        # OpenFeature's providers are global: a domain of its own keeps two platforms apart.
        self._domain = f"vitrine-{next(_NUMBER)}"
        provider = FlagdProvider(
            resolver_type=ResolverType.FILE,
            offline_flag_source_path=str(path),
            deadline_ms=int(POLL_SECONDS * 1000),  # also the interval of the file watcher
        )
        try:
            api.set_provider_and_wait(provider, self._domain)
        except OpenFeatureError as error:
            api.set_provider(NoOpProvider(), self._domain)
            raise CannotStart(
                f"the flag file {path} cannot be read as JSON: repair it, or remove it and a new"
                " one with every flag at rest is made."
            ) from error
        self._client: OpenFeatureClient = api.get_client(domain=self._domain)
        self._static: dict[str, float | bool] = {}
        """Values that hold until the file changes; a change brings an empty one."""
        self._client.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, self._changed)

    def number(self, key: str) -> float:
        return float(self._value(key, self._client.get_float_details, float(FAULTS[key])))

    def enabled(self, key: str) -> bool:
        return bool(self._value(key, self._client.get_boolean_details, bool(FAULTS[key])))

    def active(self) -> dict[str, bool]:
        """By flag: whether it has another value than the one that means "nothing unusual"."""
        return {
            key: (self.enabled(key) if isinstance(rest, bool) else self.number(key)) != rest
            for key, rest in FAULTS.items()
        }

    def close(self) -> None:
        """Stop watching the file; every flag is at rest from now on."""
        api.set_provider(NoOpProvider(), self._domain)
        self._client.remove_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, self._changed)
        self._static = {}

    def _value(
        self, key: str, evaluate: Callable[[str, T], FlagEvaluationDetails[T]], rest: T
    ) -> float | bool:
        static = self._static  # what is found out while the file changes is not kept
        if key not in static:
            found = evaluate(key, rest)
            if found.reason != Reason.STATIC:
                return found.value
            static[key] = found.value
        return static[key]

    def _changed(self, details: EventDetails) -> None:
        del details
        self._static = {}


def resting_state() -> dict[str, object]:
    """A flagd document in which every flag is at rest."""
    return {
        "$schema": "https://flagd.dev/schema/v0/flags.json",
        "flags": {
            key: {
                "state": "ENABLED",
                "variants": {"rest": value},
                "defaultVariant": "rest",
            }
            for key, value in FAULTS.items()
        },
    }
