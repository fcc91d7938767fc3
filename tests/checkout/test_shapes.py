"""A change as a shape, its values and the statements of both dialects: nothing is run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.checkout.change import Change, Put, Room, unchanged
from app.checkout.idempotency import StoredAnswer
from app.checkout.lines_postgresql import statement_of
from app.checkout.lines_sqlite import statements_of
from app.checkout.models import DESK_SALES, PAYMENT_EVENTS
from app.checkout.shapes import Shape, told
from tests.builders.sights import CLAIM, NOW, UNFINISHED, a_sight

SAID = StoredAnswer(200, "application/json", b'{"said":"first"}')
SIGHT = a_sight()


def shape_of(change: Change[Any]) -> Shape:
    shape, _ = told(change)
    return shape


def a_change() -> Change[None]:
    """One that moves its car, sets, puts and ends rows under a new key, caused by a message."""
    change = Change(SIGHT.car, answer=None)
    change.event = Put(PAYMENT_EVENTS, {"event_id": "evt_1", "order_id": "ord_1"})
    change.end(DESK_SALES, "car_1")
    change.put(DESK_SALES, car_id="car_2", sold_at=NOW)
    change.set(SIGHT.order, state="confirmed")
    change.set(SIGHT.car, state="reserved")
    change.set(SIGHT.order, confirmed_at=NOW)
    change.keep(CLAIM, None, NOW, SAID)
    return change


def test_parts_come_as_they_can_be_written_whatever_the_rule_said_first() -> None:
    shape = shape_of(a_change())

    assert [(part.name, part.table.name, part.by) for part in shape.parts] == [
        ("r0", "payment_events", ""),
        ("r1", "idempotency", ""),
        ("r2", "orders", "order_id"),
        ("r3", "desk_sales", ""),
        ("r4", "desk_sales", "car_id"),
    ]
    assert (shape.car, shape.event, shape.key) == (("state",), shape.parts[0], shape.parts[1])


def test_changes_of_the_same_columns_share_a_shape_whatever_their_values() -> None:
    other = Change(a_sight(car={"car_id": "car_9"}).car, answer=None)
    first = Change(SIGHT.car, answer=None)
    for change, state in ((first, "held"), (other, "sold")):
        change.set(change.car, state=state)  # type: ignore[arg-type]

    assert shape_of(first) is shape_of(other)
    other.set(SIGHT.hold, extended=True)
    assert shape_of(first) is not shape_of(other)


def test_a_wish_has_each_value_by_the_name_that_its_statements_use() -> None:
    shape, wish = told(a_change())

    assert tuple(wish) == shape.names
    assert (wish["car_id"], wish["seen_version"], wish["car_state"]) == ("car_1", 3, "reserved")
    assert (wish["r0_event_id"], wish["r2_by"], wish["r2_confirmed_at"]) == ("evt_1", "ord_1", NOW)
    assert (wish["r1_key"], wish["r1_body"]) == (CLAIM.key, SAID.body)
    assert wish["r4_by"] == "car_1"


def test_a_change_that_sets_nothing_of_its_car_still_moves_its_version() -> None:
    change = Change(SIGHT.car, answer=None)
    shape, wish = told(change)

    assert shape.car == ()
    assert wish == {"car_id": "car_1", "seen_version": 3}


@pytest.mark.parametrize("key", [None, UNFINISHED], ids=["a new key", "one that never finished"])
def test_without_a_car_its_key_is_the_guard(key: Any) -> None:
    change = unchanged(None)
    change.keep(CLAIM, key, NOW, SAID)
    shape = shape_of(change)

    assert (shape.car, shape.parts) == (None, (shape.key,))
    (guard,) = statements_of(shape)
    assert guard.startswith("INSERT INTO idempotency" if key is None else "UPDATE idempotency")
    assert ("status IS NULL" in guard) is (key is not None)
    statement = statement_of(shape)
    assert statement.count("UPDATE idempotency") == (0 if key is None else 1)
    assert statement.count("INSERT INTO idempotency") == (1 if key is None else 0)


def test_the_first_statement_carries_every_guard() -> None:
    change = a_change()
    change.room = Room("ses_1", "here", 3, 12)
    guard, *rest = statements_of(shape_of(change))

    assert guard.startswith("UPDATE cars SET version = version + 1, state = :car_state")
    for each in ("version = :seen_version", ":r0_event_id", ":r1_key", ":room_of_session"):
        assert each in guard
    assert [each.split("(")[0].split(" WHERE")[0].strip() for each in rest] == [
        "INSERT INTO payment_events",
        "INSERT INTO idempotency",
        "UPDATE orders SET state = :r2_state, confirmed_at = :r2_confirmed_at",
        "INSERT INTO desk_sales",
        "DELETE FROM desk_sales",
    ]


def test_what_is_let_go_of_in_a_table_is_let_go_of_before_the_next_row_takes_it() -> None:
    change = Change(SIGHT.car, answer=None)
    change.set(SIGHT.hold, state="expired")
    change.add(a_sight(hold={"hold_id": "hld_2", "expires_at": NOW + timedelta(minutes=15)}).hold)

    _, ended, taken = statements_of(shape_of(change))
    assert (ended[:12], taken[:17]) == ("UPDATE holds", "INSERT INTO holds")
    assert "(SELECT count(*) FROM r0) >= 0" in statement_of(shape_of(change))


def test_who_takes_over_a_key_writes_only_while_it_has_no_answer() -> None:
    change = Change(SIGHT.car, answer=None)
    change.keep(CLAIM, UNFINISHED, NOW, SAID)
    shape = shape_of(change)

    assert "status IS NULL" in statements_of(shape)[0]
    assert statement_of(shape).count("status IS NULL") == 2  # where it is decided and written
