"""Run by Alembic; the connection comes from `frame.migrations`."""

from app.frame.alembic_env import run

run()
