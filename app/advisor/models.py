"""The advisor's tables: only the outbox; its stock is a copy in memory (docs/decisions/0030)."""

from __future__ import annotations

from typing import Final

from app.frame.data.database import new_metadata
from app.frame.data.outbox import outbox_tables

METADATA: Final = new_metadata()

OUTBOX: Final = outbox_tables(METADATA)
