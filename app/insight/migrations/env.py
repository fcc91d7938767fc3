"""Alembic's entry: the frame applies the scripts on the service's own connection."""

from app.frame.data.alembic_env import run

run()
