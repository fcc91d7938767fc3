"""The production shape's connections fit into its PostgreSQL, with a second replica to spare."""

import re
from pathlib import Path

from app.checkout.lines_postgresql import CONNECTIONS as OF_LINES
from app.frame.settings import CONNECTIONS
from rigs.pgbouncer import CONFIGURATION as POOLED
from rigs.postgres import CONFIGURATION
from rigs.shop import SERVICES

FOR_PEOPLE_AND_WATCHERS = 8
"""Superusers (three are reserved), the collector, an operator's psql, a backup."""


def _number(path: Path, setting: str) -> int:
    found = re.search(rf"^{setting} = (\d+)$", path.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_all_services_and_second_replicas_of_the_busiest_two_fit() -> None:
    once = len(SERVICES) * CONNECTIONS + OF_LINES
    again = 2 * CONNECTIONS + OF_LINES  # checkout and storefront

    assert (once, once + again + FOR_PEOPLE_AND_WATCHERS) == (76, 112)
    assert once + again + FOR_PEOPLE_AND_WATCHERS <= _number(CONFIGURATION, "max_connections")


def test_behind_the_pooler_any_number_of_replicas_fits() -> None:
    pools = len(SERVICES) * _number(POOLED, "default_pool_size")

    assert pools + FOR_PEOPLE_AND_WATCHERS <= _number(CONFIGURATION, "max_connections")
