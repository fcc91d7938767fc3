"""When a car that was sold may be sold again."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

RESALE_AFTER: Final = timedelta(days=30)
"""How long after a sale nobody may list the same physical car: longer than the right to return it,
and than exports take to forget it. After that it is a car that was traded in."""
