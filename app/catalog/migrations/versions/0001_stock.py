"""Stock cars, dealers, feeds, and the frame's tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _stock()
    _frame()


def _stock() -> None:
    op.create_table(
        "cars",
        sa.Column("car_id", sa.String(40), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("market", sa.String(2), nullable=False),
        sa.Column("stock_id", sa.String(100), nullable=False),
        sa.Column("dealer_id", sa.String(60), nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("handover_at", UtcTime),
        sa.Column("handover_lead_seconds", sa.BigInteger),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("listed", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("first_listed_at", UtcTime, nullable=False),
        sa.Column("changed_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("car_id", name="pk_cars"),
        sa.UniqueConstraint("source", "market", "stock_id", name="uq_cars_source_market_stock_id"),
    )
    op.create_index("ix_cars_version", "cars", ["version"], unique=True)
    op.create_table(
        "dealers",
        sa.Column("dealer_id", sa.String(60), nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("dealer_id", name="pk_dealers"),
    )
    op.create_table(
        "feeds",
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("market", sa.String(2), nullable=False),
        sa.Column("adapter", sa.String(60), nullable=False),
        sa.Column("imported_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("source", "market", name="pk_feeds"),
    )
    head = op.create_table(
        "stock_head",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stock_head"),
    )
    op.bulk_insert(head, [{"id": 1, "version": 0}])


def _frame() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("position", sa.BigInteger),
        sa.Column("event_id", sa.String(40), nullable=False),
        sa.Column("type", sa.String(80), nullable=False),
        sa.Column("time", UtcTime, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("context", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("position", name="uq_outbox_position"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "outbox_head",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox_head"),
    )
    op.create_table(
        "outbox_consumers",
        sa.Column("consumer", sa.String(40), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("seen_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("consumer", name="pk_outbox_consumers"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("holder", sa.String(40), nullable=False),
        sa.Column("held_until", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "consumer_positions",
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("source", name="pk_consumer_positions"),
    )
