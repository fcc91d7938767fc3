"""Soft wishes as a weighted sum of value functions (multi-attribute utility theory). Pure.

U(i) = sum of w_k * v_k(x_ik) with weights that sum to 1 and piecewise-linear v_k in 0..1 (Keeney
and Raiffa 1976). A value that is missing or does not apply counts as neutral and says so (its
reason carries `value: null`). Weights and targets are declared in this file, nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from app.advisor.needs import Candidate, range_limit_km
from app.advisor.personality import CHARACTER_SHARE, closeness
from app.advisor.viewpoint import Viewpoint
from app.contracts.advisor import MatchRequest

Value = float | bool | None

NEUTRAL: Final = 0.5

ASKED_FOR: Final = 0.6
"""What exactly meeting a stated number is worth; going over it is worth up to 1."""

GENEROUS: Final = 1.5
"""This many times the stated number is worth 1."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One wish: its share of the score, what was asked for, and how well a value meets it."""

    code: str
    weight: float
    wanted: Value
    measure: Callable[[Candidate], Value]
    utility: Callable[[Value], float]


@dataclass(frozen=True, slots=True)
class Rating:
    """How one candidate meets one wish; `average` and `best` are utilities over all candidates."""

    wish: Wish
    value: Value
    utility: float
    average: float
    best: float

    @property
    def contribution(self) -> float:
        """How far this lifts or lowers the score against the average candidate."""
        return self.wish.weight * (self.utility - self.average)

    @property
    def shortfall(self) -> float:
        """What the candidate that meets this wish best has over this one, in score."""
        return self.wish.weight * (self.best - self.utility)


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with its score (the share of weighted wishes met) and where it comes from."""

    candidate: Candidate
    score: float
    ratings: tuple[Rating, ...]


def score(candidates: Sequence[Candidate], wishes: Sequence[Wish]) -> list[Scored]:
    """All candidates, best first; equal scores go to the cheaper one."""
    values = [[wish.measure(candidate) for wish in wishes] for candidate in candidates]
    utilities = [
        [wish.utility(value) for wish, value in zip(wishes, row, strict=True)] for row in values
    ]
    columns = list(zip(*utilities, strict=True))
    averages = [sum(column) / len(candidates) for column in columns]
    bests = [max(column) for column in columns]
    scored = [
        Scored(
            candidate,
            sum(wish.weight * u for wish, u in zip(wishes, utilities[i], strict=True)),
            tuple(
                Rating(*parts)
                for parts in zip(wishes, values[i], utilities[i], averages, bests, strict=True)
            ),
        )
        for i, candidate in enumerate(candidates)
    ]
    scored.sort(key=lambda s: (-round(s.score, 9), s.candidate.price, s.candidate.model.model_id))
    return scored


def wishes_of(
    request: MatchRequest, candidates: Sequence[Candidate], view: Viewpoint
) -> tuple[Wish, ...]:
    """What this shopper wishes, with weights that sum to 1.

    Price, space, emissions and an early handover always count; the rest when it was stated.
    """
    plain = [
        *_always(request, candidates, view),
        *_when_stated(request, view),
    ]
    share = CHARACTER_SHARE if request.preferences else 0.0
    total = sum(wish.weight for wish in plain)
    weighed = [
        Wish(w.code, w.weight / total * (1 - share), w.wanted, w.measure, w.utility) for w in plain
    ]
    traits = sorted(request.preferences.items())
    # One wish per trait: with equal weights they add up to 1 - ||u - p||_1 / d exactly.
    weighed += [_trait_wish(trait, wanted, share / len(traits)) for trait, wanted in traits]
    return tuple(weighed)


def _always(request: MatchRequest, candidates: Sequence[Candidate], view: Viewpoint) -> list[Wish]:
    needs = request.needs
    cheapest = min(candidate.price for candidate in candidates)
    dearest = max(candidate.price for candidate in candidates)
    budget = needs.max_price
    luggage = needs.luggage_litres
    return [
        Wish(
            "price",
            # Whoever names a budget cares about price; whoever names none cares less.
            0.20 if budget else 0.10,
            budget,
            lambda candidate: candidate.price,
            # With a budget, well below it is ideal; without one the market's own span decides.
            along((0.6 * budget, 1.0), (budget, 0.3))
            if budget
            else along((cheapest, 1.0), (dearest, 0.0)),
        ),
        Wish(
            "space",
            0.18 if luggage else 0.05,
            luggage or None,
            lambda candidate: candidate.model.boot_litres,
            _at_least(luggage) if luggage else along((200, 0.0), (650, 1.0)),
        ),
        Wish(
            "emissions",
            0.05,
            None,
            lambda candidate: candidate.model.wltp.co2_g_km,
            along((0, 1.0), (220, 0.0)),
        ),
        Wish(
            "soon",
            0.05,
            None,
            lambda candidate: _earliest(candidate, view),
            along((0, 1.0), (2, 0.8), (7, 0.5), (30, 0.0)),
        ),
    ]


def _when_stated(request: MatchRequest, view: Viewpoint) -> list[Wish]:
    needs = request.needs
    wishes = []
    if needs.min_range_km:
        wishes.append(
            Wish(
                "range",
                0.12,
                needs.min_range_km,
                lambda candidate: range_limit_km(candidate.model),
                _at_least(needs.min_range_km),
            )
        )
    if needs.towing_kg:
        wishes.append(
            Wish(
                "towing",
                0.08,
                needs.towing_kg,
                lambda candidate: candidate.model.tow_kg,
                _at_least(needs.towing_kg),
            )
        )
    if request.location is not None:
        wishes.append(
            Wish(
                "reach",
                0.08,
                None,
                lambda candidate: _nearest_km(candidate, view),
                along((5, 1.0), (50, 0.8), (200, 0.4), (600, 0.0)),
            )
        )
    if view.colours:
        wishes.append(
            Wish(
                "colour",
                0.08,
                True,
                lambda candidate: any(map(view.has_wished_colour, candidate.cars)),
                along((0, 0.0), (1, 1.0)),
            )
        )
    return wishes


def _trait_wish(trait: str, wanted: float, weight: float) -> Wish:
    return Wish(
        trait,
        weight,
        wanted,
        lambda candidate: candidate.model.personality.get(trait),
        lambda value: NEUTRAL if value is None else closeness(wanted, float(value)),
    )


def along(*points: tuple[float, float]) -> Callable[[Value], float]:
    """A piecewise-linear value function through `points`; a missing value is neutral."""

    def utility(value: Value) -> float:
        if value is None:
            return NEUTRAL
        x = float(value)
        if x <= points[0][0]:
            return points[0][1]
        for (x0, v0), (x1, v1) in pairwise(points):
            if x <= x1:
                return v0 + (v1 - v0) * (x - x0) / (x1 - x0)
        return points[-1][1]

    return utility


def _at_least(wanted: int) -> Callable[[Value], float]:
    return along((0, 0.0), (wanted, ASKED_FOR), (GENEROUS * wanted, 1.0))


def _nearest_km(candidate: Candidate, view: Viewpoint) -> float | None:
    known = [km for stand in candidate.stands if (km := view.distance_km(stand)) is not None]
    return min(known, default=None)


def _earliest(candidate: Candidate, view: Viewpoint) -> float | None:
    known = [
        days for stand in candidate.stands if (days := view.days_to_handover(stand)) is not None
    ]
    return min(known, default=None)
