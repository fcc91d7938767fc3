"""Alembic's entry: runs on the connection that `app.frame.data.migrations` hands in."""

from app.frame.data.alembic_env import run

run()
