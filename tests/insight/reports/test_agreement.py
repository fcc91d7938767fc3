"""Both databases say the same, the same bytes stay, and every number is defined in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import insert, select

from app.insight.ledger.periods import Period
from app.insight.ledger.store import Store
from app.insight.models import ENTRIES
from app.insight.reports.advice import advice
from app.insight.reports.cohorts import cohorts
from app.insight.reports.customers import customers
from app.insight.reports.experience import experience
from app.insight.reports.questions import Make, Question, answer
from app.insight.reports.satisfaction import satisfaction
from app.insight.reports.shopping import channels, funnel, markets
from app.kernel.zones import TIME_ZONES, zone_of
from dashboards.metrics import PAGE, rendered
from telemetry.catalogue.definitions import DEFINITIONS
from telemetry.catalogue.labels import MARKETS
from tests.builders.facts import START
from tests.builders.journeys import DAYS, ledger, told

MAKES: Final[dict[str, Make]] = {
    "funnel": funnel(("session", "advice_start", "hold")),
    "markets": markets,
    "channels": channels,
    "cohorts": cohorts("week"),
    "customers": customers(0.1),
    "experience": experience,
    "satisfaction": satisfaction,
    "advice": advice,
}
WHOLE = Period(START, START + timedelta(days=DAYS + 1), traffic="human")
QUESTIONS = [
    Question(WHOLE),
    Question(WHOLE, ("market", "campaign"), "previous"),
    Question(replace(WHOLE, market="SE", traffic=None), ("device", "channel_group"), "year"),
    Question(replace(WHOLE, until=START + timedelta(days=5)), ("entry",), "previous"),
]


async def answers(store: Store) -> dict[str, dict[str, Any]]:
    return {
        f"{name} {number}": (await answer(store, question, make)).as_json()
        for name, make in MAKES.items()
        for number, question in enumerate(QUESTIONS)
    }


async def with_customers(store: Store) -> None:
    """As checkout tells of them: half of the orders are of people who order again and again."""
    async with store.database.transaction() as transaction:
        rows = (
            await transaction.execute(select(ENTRIES).where(ENTRIES.c.measure == "order"))
        ).mappings()
        made = [
            {k: v for k, v in row.items() if k != "number"}
            | {"measure": "customer", "label": f"cus_{int(row['subject'][4:]) % 9}"}
            for row in rows
        ]
        await transaction.execute(insert(ENTRIES), made)


async def test_sqlite_and_postgresql_answer_alike(
    tmp_path: Path, new_database: Callable[[str], str]
) -> None:
    stated = told(seed=21)
    async with ledger(f"sqlite+aiosqlite:///{tmp_path / 'one.db'}", stated) as store:
        await with_customers(store)
        ours = await answers(store)
    url = new_database("insight") or f"sqlite+aiosqlite:///{tmp_path / 'two.db'}"
    async with ledger(url, stated) as store:
        await with_customers(store)
        assert json.loads(json.dumps(await answers(store))) == json.loads(json.dumps(ours))
    assert ours["customers 0"]["total"]["repeat_buyers"] > 0
    assert ours["funnel 0"]["total"]["orders"] > 0


async def test_customers_come_back_and_margin_is_known_or_not(tmp_path: Path) -> None:
    async with ledger(f"sqlite+aiosqlite:///{tmp_path / 'one.db'}", told(seed=4)) as store:
        await with_customers(store)
        total = (await answer(store, Question(WHOLE), customers(None))).table.total
        async with store.database.read() as connection:
            rows = (
                await connection.execute(
                    select(
                        ENTRIES.c.subject, ENTRIES.c.measure, ENTRIES.c.label, ENTRIES.c.amount
                    ).where(ENTRIES.c.traffic == "human", ENTRIES.c.until.is_(None))
                )
            ).all()
    who = {subject: label for subject, measure, label, _ in rows if measure == "customer"}
    orders = list(who.values())
    net = sum(
        amount if measure == "order_value" else -amount
        for _, measure, _, amount in rows
        if measure.startswith("order_value")
    )
    again = [name for name in set(orders) if orders.count(name) > 1]
    assert total["customers"] == len(set(orders))
    assert total["repeat_buyers"] == total["returning_customers_12_months"] == len(again)
    assert total["returning_customer_rate_12_months"] == len(again) / len(set(orders))
    assert total["clv_historic"] == {
        "revenue": [{"amount": net / len(set(orders)), "currency": "SEK"}],
        "margin": "not known",
    }


@pytest.mark.parametrize("name", list(MAKES))
async def test_every_number_of_a_report_is_defined_in_words(tmp_path: Path, name: str) -> None:
    async with ledger(
        f"sqlite+aiosqlite:///{tmp_path / 'one.db'}", told(seed=1, visits=9)
    ) as store:
        total = (await answer(store, QUESTIONS[0], MAKES[name])).table.total
    defined = {one.member.partition(".")[0] for one in DEFINITIONS if name in one.reports}
    assert set(total) - {"withheld"} == defined


def test_the_page_of_metrics_is_the_catalogues() -> None:
    assert PAGE.read_text(encoding="utf-8") == rendered()
    assert len({(one.member, one.reports) for one in DEFINITIONS}) == len(DEFINITIONS)


def test_every_market_has_a_calendar() -> None:
    assert set(TIME_ZONES) == set(MARKETS)
    assert zone_of(None).key == zone_of("SE").key == "Europe/Stockholm"
