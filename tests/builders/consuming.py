"""The tables of a source and of a consumer whose effects are rows."""

from __future__ import annotations

from sqlalchemy import Column, Integer, String, Table

from app.frame.data.consumers import position_table
from app.frame.data.database import new_metadata
from app.frame.data.leases import lease_table
from app.frame.data.outbox import outbox_tables

SOURCE = new_metadata()
OUTBOX = outbox_tables(SOURCE)
SINK = new_metadata()
position_table(SINK)
lease_table(SINK)
EFFECTS = Table(
    "effects", SINK, Column("id", Integer, primary_key=True), Column("car_id", String(40))
)
