"""The storefront's tables: its outbox, and nothing else (sessions live in their cookies)."""

from __future__ import annotations

from app.frame.data.database import new_metadata
from app.frame.data.outbox import outbox_tables

METADATA = new_metadata()
OUTBOX = outbox_tables(METADATA)
