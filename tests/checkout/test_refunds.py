"""Work that fails is put off and stands before nobody; a refused refund waits for a person."""

from __future__ import annotations

from typing import Any

import pytest

from app.checkout import commands
from app.checkout.change import Change
from app.checkout.payments import Payments
from app.checkout.providers.protocol import ProviderRefused, ProviderUnavailable
from app.checkout.providers.sandbox import SandboxProvider
from app.checkout.refunds import Decision
from app.frame.data.batches import BatchFailed
from tests.builders.services import refunds_of
from tests.builders.shop import LOST, PAYS, Shop
from tests.builders.sights import a_sight


async def _cancelled(shop: Shop, car_id: str) -> dict[str, Any]:
    order = await shop.ordered(car_id)
    await shop.pay(order, PAYS)
    await shop.act(order, "cancellation")
    shop.clock.advance(seconds=1)
    return order


async def _states(shop: Shop) -> list[str]:
    rows = await shop.rows("SELECT state FROM payments ORDER BY order_id")
    return [str(state) for (state,) in rows]


def _fail(
    monkeypatch: pytest.MonkeyPatch, verb: str, error: Exception, *, only: set[str] | None = None
) -> list[str]:
    """Let one verb of the practice provider fail, for some payments; which ones were asked."""
    real, asked = getattr(SandboxProvider, verb), []

    async def failing(self: SandboxProvider, payment_id: str, *rest: str) -> Any:
        asked.append(payment_id)
        if only is None or payment_id in only:
            raise error
        return await real(self, payment_id, *rest)

    monkeypatch.setattr(SandboxProvider, verb, failing)
    return asked


def _age(shop: Shop, work: str) -> float:
    return shop.metric("checkout_work_due_seconds", service="checkout", work=work)


async def test_refunds_that_are_refused_or_hang_keep_no_other_waiting(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.checkout.refunds.PAGE", 2)
    orders = [await _cancelled(shop, f"car_{number}") for number in (1, 2, 3, 4)]
    ids = [str(order["payment_url"]).rsplit("/", 1)[-1] for order in orders]
    _fail(monkeypatch, "refund", ProviderUnavailable("Nothing comes."), only=set(ids[:2]))

    for _ in range(3):
        await shop.checkout.job("refunds")()

    assert await _states(shop) == ["refund_due", "refund_due", "refunded", "refunded"]


async def test_a_failing_refund_is_tried_again_after_a_growing_pause(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _cancelled(shop, "car_1")
    asked = _fail(monkeypatch, "refund", RuntimeError("odd"))

    tries = []
    for _ in range(12):
        before = len(asked)
        await shop.checkout.job("refunds")()
        tries.append(len(asked) - before)
        shop.clock.advance(seconds=2)

    assert tries == [1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]
    shop.clock.advance(hours=6)
    monkeypatch.undo()
    await shop.checkout.job("refunds")()
    assert (await _states(shop), await shop.rows("SELECT * FROM work")) == (["refunded"], [])


async def test_the_age_of_the_oldest_refund_is_told_and_a_day_breaks_a_promise(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _cancelled(shop, "car_1")
    _fail(monkeypatch, "refund", RuntimeError("odd"))

    shop.clock.advance(hours=2)
    await shop.checkout.job("refunds")()
    await shop.checkout.job("invariants")()
    age, broken = _age(shop, "refunds"), len(await shop.broken_invariants())
    shop.clock.advance(hours=23)

    assert (age, broken) == (7201, 0)
    assert await shop.broken_invariants() == {"no_refund_waits_past_its_deadline": 1}


async def test_a_refused_refund_waits_for_a_person_who_ends_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await _cancelled(shop, "car_1"), await _cancelled(shop, "car_2")
    asked = _fail(monkeypatch, "refund", ProviderRefused("No."))
    for _ in range(3):
        await shop.checkout.job("refunds")()
        shop.clock.advance(hours=7)
    await shop.checkout.job("invariants")()
    refused = (await _states(shop), len(asked))
    told = shop.metric("checkout_refunds_refused", service="checkout")
    monkeypatch.undo()

    refunds = refunds_of(shop.checkout)
    await refunds.decide(first["order_id"], "retry")
    await refunds.decide(second["order_id"], "end")
    ended = await _states(shop)
    await shop.checkout.job("refunds")()

    assert (refused, told) == ((["refund_refused", "refund_refused"], 2), 2)
    assert ended == ["refund_due", "refunded"]
    assert [(await shop.read(order))["state"] for order in (first, second)] == ["refunded"] * 2
    assert (await shop.fact_types()).count("order.refunded") == 2
    assert await shop.broken_invariants() == {}


@pytest.mark.parametrize(("how", "after"), [("retry", "refund_due"), ("end", "refunded")])
async def test_a_decision_that_was_written_unheard_is_made_once_and_not_refused(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, how: Decision, after: str
) -> None:
    order = await _cancelled(shop, "car_1")
    _fail(monkeypatch, "refund", ProviderRefused("No."))
    await shop.checkout.job("refunds")()
    refunds = refunds_of(shop.checkout)
    lines = refunds._changes._lines
    write = lines.write

    async def unheard(change: Change[Any]) -> bool:
        monkeypatch.setattr(lines, "write", write)
        assert await write(change)
        raise BatchFailed("the connection was lost")

    monkeypatch.setattr(lines, "write", unheard)
    await refunds.decide(order["order_id"], how)

    assert await _states(shop) == [after]
    assert (await shop.fact_types()).count("order.refunded") == (how == "end")


async def test_an_odd_hold_or_payment_stops_neither_sweep_nor_questions(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = [await shop.ordered(f"car_{number}") for number in (1, 2)]
    for order in lost:
        await shop.pay(order, LOST)
    ids = [str(order["payment_url"]).rsplit("/", 1)[-1] for order in lost]
    _fail(monkeypatch, "find", ValueError("odd"), only={ids[0]})
    shop.clock.advance(seconds=30)

    await shop.checkout.job("reconcile")()
    await shop.checkout.job("invariants")()

    assert [(await shop.read(order))["state"] for order in lost] == ["payment_pending", "confirmed"]
    shop.clock.advance(seconds=1)
    await shop.checkout.job("invariants")()
    assert _age(shop, "reconcile") == 1


async def test_a_provider_that_is_down_ends_the_questions_of_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await shop.ordered()
    await shop.pay(order, LOST)
    asked = ["silent", "sandbox"]
    monkeypatch.setattr(Payments, "known", property(lambda _: asked))
    silent = await shop.ordered("car_2")
    await shop.damage(
        f"UPDATE payments SET provider = 'silent' WHERE order_id = '{silent['order_id']}'"  # noqa: S608
    )
    shop.clock.advance(seconds=30)

    await shop.checkout.job("reconcile")()

    assert (await shop.read(order))["state"] == "confirmed"


def test_refunds_are_shown_to_whoever_decides() -> None:
    owed = a_sight(
        order={"provider": "stripe"}, payment={"payment_id": "pi_1", "state": "refund_refused"}
    )
    table = commands.refunds_table([owed])

    assert [next(iter(column.cells)) for column in table.columns] == [
        "ord_1",
        "stripe",
        "pi_1",
        "500000 SEK",
        "",
        "refund_refused",
    ]
