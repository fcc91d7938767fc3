"""Feature and fault flags: one flagd-format file, read through OpenFeature, reloaded on change.

flagd's own evaluator reads the file in this process (docs/decisions/0071). A flag that is missing
or damaged evaluates to the caller's default; a damaged file keeps the last good state and is told
in the log once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Final, TypeVar

import orjson
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent, ProviderEventDetails
from openfeature.exception import OpenFeatureError
from openfeature.flag_evaluation import (
    FlagEvaluationDetails,
    FlagResolutionDetails,
    FlagValueType,
    Reason,
)
from openfeature.provider import AbstractProvider, Metadata
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
        provider = FlagFile(path)
        try:
            provider.read()
        except UNREADABLE as error:
            raise CannotStart(
                f"the flag file {path} cannot be read as JSON: repair it, or remove it and a new"
                " one with every flag at rest is made."
            ) from error
        api.set_provider_and_wait(provider, self._domain)
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


UNREADABLE: Final = (OSError, ValueError, TypeError, AttributeError, OpenFeatureError)
"""What is raised for a file that is away, no JSON, or no document of flagd's."""


class FlagFile(AbstractProvider):
    """OpenFeature's provider of the flags in one file, which a thread looks at for changes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._core = FlagdCore()
        self._read_at = (0, 0)
        self._closed = threading.Event()

    def read(self) -> None:
        """Take what the file says now; what was read before stays when it raises `UNREADABLE`."""
        self._read_at = self._changed_at()
        self._core.set_flags(orjson.loads(self._path.read_bytes()))

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        del evaluation_context
        threading.Thread(target=self._follow, name="flags", daemon=True).start()

    def shutdown(self) -> None:
        self._closed.set()

    def get_metadata(self) -> Metadata:
        return Metadata(name="flag file")

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        return self._core.resolve_boolean_value(flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        return self._core.resolve_string_value(flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        return self._core.resolve_integer_value(flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        return self._core.resolve_float_value(flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        return self._core.resolve_object_value(flag_key, default_value, evaluation_context)

    def _follow(self) -> None:
        while not self._closed.wait(POLL_SECONDS):
            if self._changed_at() == self._read_at:
                continue
            try:
                self.read()
            except UNREADABLE as error:
                _log.error("the flag file %s is not read: %s", self._path, error)
            else:
                self.emit_provider_configuration_changed(ProviderEventDetails())

    def _changed_at(self) -> tuple[int, int]:
        """When the file was written and how long it is; zeros while it is away."""
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_size)


_log: Final = logging.getLogger(__name__)


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
