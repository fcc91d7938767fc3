"""What every service's `migrations/env.py` runs: the connection is handed in by the caller."""

from __future__ import annotations

from alembic import context


def run() -> None:
    """Apply the scripts on the connection that `frame.data.migrations` opened and will commit."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"],
        target_metadata=attributes["metadata"],
        render_as_batch=True,
        transactional_ddl=False,
    )
    context.run_migrations()
