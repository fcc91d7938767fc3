"""What a rule may see, and the queries that show it: one text for both dialects.

A look is from where a request comes: a car, a hold, an order, or an Idempotency-Key alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Table

from app.checkout.models import ACTIVE_BY, CARS, DESK_SALES, HOLDS, IDEMPOTENCY, ORDERS, PAYMENTS
from app.checkout.rows import Car, DeskSale, Hold, Key, Order, Payment, Purchase

Sight_co = TypeVar("Sight_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Look(Generic[Sight_co]):
    """What is asked for: each field is a value that its query compares with."""

    def about(self) -> tuple[str, str]:
        """Id of what is looked at, and the Idempotency-Key; nothing where no sight is foreseen."""
        return "", ""


@dataclass(frozen=True, slots=True)
class OrderSight(Purchase):
    """One order and what belongs to it, as of one moment."""

    last_of_hold: str
    """Id of the order of this hold that waits for payment, else of the newest one."""
    taken_elsewhere: bool
    """Whether somebody has this physical car by another id."""
    event_known: bool
    email_index: str | None = None
    """Of its customer (`customers.CustomerIndex`); None once they are erased."""


@dataclass(frozen=True, slots=True)
class OrderLook(Look[OrderSight]):
    order_id: str
    event_id: str = ""
    key: str = ""

    def about(self) -> tuple[str, str]:
        return self.order_id, self.key


@dataclass(frozen=True, slots=True)
class HoldSight:
    hold: Hold
    car: Car
    order: Order | None
    """The order of this hold that waits for payment, else the newest one."""
    payment: Payment | None
    """Of that order."""
    orders: int
    """How many this hold has taken."""

    @property
    def purchase(self) -> Purchase | None:
        if self.order is None or self.payment is None:
            return None
        return Purchase(self.order, self.payment, self.hold, self.car)


@dataclass(frozen=True, slots=True)
class HoldLook(Look[HoldSight]):
    hold_id: str
    key: str = ""

    def about(self) -> tuple[str, str]:
        return self.hold_id, self.key


@dataclass(frozen=True, slots=True)
class CarSight:
    car: Car
    hold: Hold | None
    """The active one."""
    order: Order | None
    """The order of that hold that waits for payment, else the newest one."""
    elsewhere: str
    """The state of the same physical car, which somebody has by another id; else empty."""
    of_session: int
    of_address: int
    """Active holds of who asks."""


@dataclass(frozen=True, slots=True)
class CarLook(Look[CarSight]):
    car_id: str
    session_id: str = ""
    address_hash: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class DeskSight:
    car: Car
    hold: Hold | None
    last: Order | None
    """The order of that hold that waits for payment, else the newest one."""
    sale: DeskSale | None
    in_force: Order | None
    """The order that has the car, or whose car is not back at its dealer yet."""
    elsewhere: str
    """The state of the same physical car, which somebody has by another id; else empty."""


@dataclass(frozen=True, slots=True)
class DeskLook(Look[DeskSight]):
    car_id: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class KeyLook(Look[None]):
    key: str


@dataclass(frozen=True, slots=True)
class Seen(Generic[Sight_co]):
    """`sight` is None when there is no such thing; `key` when nobody took it."""

    sight: Sight_co | None
    key: Key | None


RECEIVED: Final = "withdrawn"
"""The message of a handed over order whose car its dealer has received back."""

_ORDERED_BY_HOLD: Final = """
       (SELECT l.order_id FROM orders l WHERE l.hold_id = h.hold_id
         ORDER BY l.state = 'payment_pending' DESC, l.created_at DESC, l.order_id DESC LIMIT 1)
"""

_ELSEWHERE: Final = """
       (SELECT t.state FROM cars t WHERE t.identity = c.identity AND t.car_id <> c.car_id
           AND t.state <> 'available' LIMIT 1)
"""

_HELD_BY: Final = {
    column: f"""
       (SELECT COUNT(*) FROM holds x WHERE {active}
           AND x.{column} = q.{column} AND q.{column} <> '')
"""
    for column, active in ACTIVE_BY.items()
}

_IN_FORCE: Final = f"""
       COALESCE(
           (SELECT f.order_id FROM orders f WHERE f.car_id = c.car_id
               AND f.state IN ('payment_pending', 'confirmed') LIMIT 1),
           (SELECT f.order_id FROM orders f WHERE f.car_id = c.car_id
               AND f.state = 'disputed' LIMIT 1),
           (SELECT f.order_id FROM orders f WHERE f.car_id = c.car_id
               AND f.handed_over_at IS NOT NULL
               AND NOT (f.state IN ('returned', 'refunded')
                        AND COALESCE(f.message, '') = '{RECEIVED}') LIMIT 1))
"""
"""Each part has an index of its own."""


TABLES: Final[Mapping[type, Table]] = {
    Car: CARS,
    DeskSale: DESK_SALES,
    Hold: HOLDS,
    Key: IDEMPOTENCY,
    Order: ORDERS,
    Payment: PAYMENTS,
}


Convert = Callable[[Any], Any]


class Rows:
    """Rows of some tables, one after the other, and how values of some types become Python's."""

    def __init__(self, kinds: Sequence[Any], convert: Mapping[type, Convert]) -> None:
        self._rows: list[tuple[Any, int, int, list[tuple[int, Convert]]]] = []
        self.width = 0
        for kind in kinds:
            start, self.width = self.width, self.width + len(kind._fields)
            types = [type(TABLES[kind].c[name].type) for name in kind._fields]
            found = [(n, convert[each]) for n, each in enumerate(types) if each in convert]
            self._rows.append((kind, start, self.width, found))

    def of(self, values: Sequence[Any]) -> list[Any]:
        """None for one that is not there."""
        found: list[Any] = []
        for kind, start, end, conversions in self._rows:
            if values[start] is None:
                found.append(None)
                continue
            row = list(values[start:end])
            for n, convert in conversions:
                if row[n] is not None:
                    row[n] = convert(row[n])
            found.append(kind._make(row))
        return found


class Query(Generic[Sight_co]):
    """Reads `rows` (alias and class of each table; the key is always one of them) and `values`."""

    def __init__(
        self,
        look: type[Look[Sight_co]],
        make: Callable[..., Sight_co | None],
        rows: Sequence[tuple[str, Any]],
        joins: str,
        values: Sequence[str] = (),
    ) -> None:
        self.asked: Final = tuple(field.name for field in fields(look))
        self.make: Final = make
        all_rows = (*rows, ("k", Key))
        self.kinds: Final = [row for _, row in all_rows]
        names = [f"{alias}.{name}" for alias, row in all_rows for name in row._fields]
        self._text = (
            f"SELECT {', '.join([*names, *values])}"
            f" FROM {{asked}} q {joins} LEFT JOIN idempotency k ON k.key = q.key"
        )

    def text(self, asked: str) -> str:
        """The query, over a table expression with what is asked for."""
        return self._text.format(asked=asked)


class Reading(Generic[Sight_co]):
    """A query as one dialect asks it: `text`, and how values of some types become Python's."""

    def __init__(self, query: Query[Sight_co], text: str, convert: Mapping[type, Convert]) -> None:
        self.text: Final = text
        self.asked: Final = query.asked
        self._make = query.make
        self._rows = Rows(query.kinds, convert)

    def seen(self, values: Sequence[Any]) -> Seen[Sight_co]:
        """What a row of its answer shows."""
        *rows, key = self._rows.of(values)
        there = not rows or rows[0] is not None
        return Seen(self._make(*rows, *values[self._rows.width :]) if there else None, key)


def _order_sight(
    order: Order,
    payment: Payment,
    hold: Hold,
    car: Car,
    last: str,
    elsewhere: object,
    event: object,
    email_index: str | None,
) -> OrderSight:
    taken, known = elsewhere is not None, event is not None
    return OrderSight(order, payment, hold, car, last, taken, known, email_index)


def _car_sight(
    car: Car, hold: Hold | None, order: Order | None, elsewhere: str | None, *counts: int
) -> CarSight:
    return CarSight(car, hold, order, elsewhere or "", *counts)


def _desk_sight(
    car: Car,
    hold: Hold | None,
    last: Order | None,
    sale: DeskSale | None,
    in_force: Order | None,
    elsewhere: str | None,
) -> DeskSight:
    return DeskSight(car, hold, last, sale, in_force, elsewhere or "")


_CARS_HOLD: Final = f"""
  LEFT JOIN cars c ON c.car_id = q.car_id
  LEFT JOIN holds h ON h.car_id = c.car_id AND h.state = 'active'
  LEFT JOIN orders o ON o.order_id = {_ORDERED_BY_HOLD}"""

QUERIES: Final[Mapping[type[Look[Any]], Query[Any]]] = {
    OrderLook: Query(
        OrderLook,
        _order_sight,
        (("o", Order), ("p", Payment), ("h", Hold), ("c", Car)),
        """
  LEFT JOIN orders o ON o.order_id = q.order_id
  LEFT JOIN payments p ON p.order_id = o.order_id
  LEFT JOIN holds h ON h.hold_id = o.hold_id
  LEFT JOIN cars c ON c.car_id = o.car_id""",
        (
            _ORDERED_BY_HOLD,
            _ELSEWHERE,
            # As a value: `EXISTS` may be answered by reading all messages there ever were.
            "(SELECT e.event_id FROM payment_events e WHERE e.event_id = q.event_id)",
            "(SELECT u.email_index FROM customers u WHERE u.order_id = o.order_id)",
        ),
    ),
    HoldLook: Query(
        HoldLook,
        HoldSight,
        (("h", Hold), ("c", Car), ("o", Order), ("p", Payment)),
        f"""
  LEFT JOIN holds h ON h.hold_id = q.hold_id
  LEFT JOIN cars c ON c.car_id = h.car_id
  LEFT JOIN orders o ON o.order_id = {_ORDERED_BY_HOLD}
  LEFT JOIN payments p ON p.order_id = o.order_id""",
        ("(SELECT COUNT(*) FROM orders n WHERE n.hold_id = h.hold_id)",),
    ),
    CarLook: Query(
        CarLook,
        _car_sight,
        (("c", Car), ("h", Hold), ("o", Order)),
        _CARS_HOLD,
        (
            _ELSEWHERE,
            _HELD_BY["session_id"],
            _HELD_BY["address_hash"],
        ),
    ),
    DeskLook: Query(
        DeskLook,
        _desk_sight,
        (("c", Car), ("h", Hold), ("o", Order), ("d", DeskSale), ("i", Order)),
        f"""{_CARS_HOLD}
  LEFT JOIN desk_sales d ON d.car_id = c.car_id
  LEFT JOIN orders i ON i.order_id = {_IN_FORCE}""",
        (_ELSEWHERE,),
    ),
    KeyLook: Query(KeyLook, lambda: None, (), ""),
}
"""How each look is answered, in one row; a key that is not asked for is that of nobody."""
