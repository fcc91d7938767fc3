"""Alembic's entry: runs on the connection that `app.frame.migrations` hands in."""

from app.frame.alembic_env import run

run()
