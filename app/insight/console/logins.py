"""Logins of the console that were ended before their time."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import bindparam, delete, select, text

from app.frame.data.database import Database, UtcTime
from app.insight.models import ENDED_LOGINS


class EndedLogins:
    """Remembered by all replicas until their cookies would have expired anyway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def end(self, login_id: str, *, expires: int, now: datetime) -> None:
        """Ends a login; `expires` (Unix seconds) is its cookie's. Once more changes nothing."""
        until = datetime.fromtimestamp(expires, UTC)
        async with self._database.transaction() as transaction:
            await transaction.execute(delete(ENDED_LOGINS).where(ENDED_LOGINS.c.expires_at < now))
            await transaction.execute(
                text(
                    "INSERT INTO ended_logins (login_id, expires_at) VALUES (:login_id, :until)"
                    " ON CONFLICT (login_id) DO NOTHING"
                ).bindparams(bindparam("until", type_=UtcTime())),
                {"login_id": login_id, "until": until},
            )

    async def has_ended(self, login_id: str) -> bool:
        async with self._database.read() as connection:
            found = await connection.scalar(
                select(ENDED_LOGINS.c.login_id).where(ENDED_LOGINS.c.login_id == login_id)
            )
        return found is not None
