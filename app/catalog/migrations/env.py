"""Run by Alembic; the connection comes from `frame.data.migrations`."""

from app.frame.data.alembic_env import run

run()
