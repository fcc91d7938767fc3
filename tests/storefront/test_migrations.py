"""The migrations make exactly the tables that the code uses."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from app.frame.data.database import Database
from app.frame.data.migrations import migrate
from app.storefront.models import METADATA
from tests.conftest import NewDatabase


async def test_the_migrated_schema_is_the_models(new_database: NewDatabase) -> None:
    database = Database(new_database("storefront"))

    await migrate(database, "storefront", METADATA)
    await migrate(database, "storefront", METADATA)

    async with database.read() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), METADATA)
        )
    found = [each for each in differences if "alembic_version" not in str(each)]
    await database.close()
    assert found == []
