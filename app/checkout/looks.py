"""The query that shows an order and all that belongs to it: one text for both dialects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from app.checkout.change import Sight
from app.checkout.rows import Car, Hold, Order, Payment

ROWS: Final = (("o", Order), ("p", Payment), ("h", Hold), ("c", Car))

_COLUMNS: Final = ", ".join(
    f"{alias}.{column.name}" for alias, row in ROWS for column in fields(row)
)

ORDER: Final = f"""
SELECT {_COLUMNS},
       (SELECT l.order_id FROM orders l WHERE l.hold_id = o.hold_id
         ORDER BY l.state = 'payment_pending' DESC, l.created_at DESC, l.order_id DESC
         LIMIT 1),
       EXISTS (SELECT 1 FROM cars t WHERE t.identity = c.identity AND t.car_id <> c.car_id
                  AND t.state <> 'available'),
       EXISTS (SELECT 1 FROM payment_events e WHERE e.event_id = q.event_id)
  FROM {{asked}} q
  JOIN orders o ON o.order_id = q.order_id
  JOIN payments p ON p.order_id = o.order_id
  JOIN holds h ON h.hold_id = o.hold_id
  JOIN cars c ON c.car_id = o.car_id
"""  # noqa: S608 - made of our own names


def sight_of(values: Sequence[Any]) -> Sight:
    """A row of `ORDER`; values are Python's, moments with their zone and JSON as dictionaries."""
    found: dict[str, Any] = {}
    start = 0
    for alias, row in ROWS:
        width = len(fields(row))
        found[alias] = row(*values[start : start + width])
        start += width
    last, taken_elsewhere, event_known = values[start : start + 3]
    return Sight(
        order=found["o"],
        payment=found["p"],
        hold=found["h"],
        car=found["c"],
        last_of_hold=last,
        taken_elsewhere=bool(taken_elsewhere),
        event_known=bool(event_known),
    )
