"""When nothing fits: which needs, loosened as little as possible, would bring cars. Pure.

Every model on offer misses some set of needs; loosening exactly that set admits the model. The
inclusion-minimal sets are the minimal diagnoses (Reiter 1987; Felfernig, Schubert and Zehentner
2012, FastDiag); with tens of models they are read off directly, no search is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.advisor.needs import Stated, candidates_of, missed
from app.advisor.showroom import Offers
from app.contracts.advisor import NeedChange, Needs, Relaxation
from app.contracts.catalog import Model

SAFETY: Final = "child_seats"
"""Offered last, whatever else would have to give way, and always by name."""

MOST: Final = 5
PRICE_STEP: Final = 100_000
"""Budgets are raised to a full thousand (minor units)."""

Loosened = Mapping[str, Stated]


def relaxations_of(needs: Needs, offers: Offers, models: Mapping[str, Model]) -> list[Relaxation]:
    """The ways out, fewest changes first and child seats last; empty when nothing is on offer."""
    ways: dict[frozenset[str], list[Loosened]] = {}
    for model_id in sorted(offers):
        model = models.get(model_id)
        if model is not None:
            loosened = missed(needs, model, offers[model_id][0].price)
            ways.setdefault(frozenset(loosened), []).append(loosened)
    minimal = [names for names in ways if names and not any(other < names for other in ways)]
    found = [
        _relaxation(needs, min(ways[names], key=lambda way: _effort(needs, way)), offers, models)
        for names in minimal
    ]
    found.sort(key=_order)
    return found[:MOST]


def apply(needs: Needs, relaxation: Relaxation) -> Needs:
    """The needs as they would be after taking up a relaxation."""
    changes = {change.need: change.to for change in changes_of(relaxation)}
    return Needs.model_validate({**needs.model_dump(), **changes})


def changes_of(relaxation: Relaxation) -> list[NeedChange]:
    first = NeedChange.model_validate(
        {"need": relaxation.need, "from": relaxation.from_, "to": relaxation.to}
    )
    return [first, *relaxation.also]


def _relaxation(
    needs: Needs, way: Loosened, offers: Offers, models: Mapping[str, Model]
) -> Relaxation:
    changes = [
        {"need": need, "from": getattr(needs, need), "to": _loosened_to(need, value)}
        # The need that may be given up least is named first.
        for need, value in sorted(way.items(), key=lambda item: (item[0] != SAFETY, item[0]))
    ]
    relaxed = Needs.model_validate(
        {**needs.model_dump(), **{str(change["need"]): change["to"] for change in changes}}
    )
    fitting = candidates_of(relaxed, offers, models)
    return Relaxation.model_validate(
        {
            **changes[0],
            "also": changes[1:],
            "models": len(fitting),
            "cars": sum(len(candidate.cars) for candidate in fitting),
        }
    )


def _loosened_to(need: str, value: Stated) -> Stated | bool:
    if need == "all_wheel_drive":
        return False
    if need == "max_price" and isinstance(value, int):
        return -(-value // PRICE_STEP) * PRICE_STEP
    return value


def _effort(needs: Needs, way: Loosened) -> float:
    """How far the needs give way in all: the sum of relative changes; a choice added counts 1."""
    total = 0.0
    for need, value in way.items():
        wanted = getattr(needs, need)
        if isinstance(value, list) or need == "all_wheel_drive":
            total += 1.0
        else:
            total += abs(value - wanted) / wanted
    return total


def _order(relaxation: Relaxation) -> tuple[bool, int, int, str]:
    changes = changes_of(relaxation)
    safety = any(change.need == SAFETY for change in changes)
    return (safety, len(changes), -relaxation.cars, relaxation.need)
