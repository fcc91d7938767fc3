"""What a flagd-format file says now, and what changed since it was last read."""

import json
from collections.abc import Mapping
from pathlib import Path


def flag_values(path: Path) -> dict[str, object]:
    """Each flag's default value; nothing while the file is missing or half-written."""
    try:
        flags = json.loads(path.read_text())["flags"]
        return {
            name: flag["variants"][flag["defaultVariant"]]
            for name, flag in flags.items()
            if flag.get("state", "ENABLED") == "ENABLED"
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """One sentence per flag whose value differs."""
    return [
        f"flag {name}: {before.get(name, 'unset')} -> {after.get(name, 'unset')}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


class FlagFile:
    """Remembers what it read; ``news`` tells what changed since."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_at = self._changed_at()
        self._seen = flag_values(path)

    def _changed_at(self) -> int:
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return 0

    def news(self) -> list[str]:
        """Sentences about changes; a file that cannot be read is no change."""
        changed_at = self._changed_at()
        if changed_at == self._read_at:
            return []
        self._read_at = changed_at
        now = flag_values(self.path)
        if not now:
            return []
        found = changes(self._seen, now) if self._seen else []
        self._seen = now
        return found
