"""Which of the rows that name one physical car may offer it, and whose it is. Pure.

A row that is there is the same car as before, whatever it leaves out: an empty VIN cell is not
another car. A VIN that is filled in counts at once. One that is corrected counts at once while the
car is free; while a customer has it, both are theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.catalog.identity import Claim, is_somebodys
from app.catalog.swap import KnownCar, OfferedCar
from app.kernel.resale import RESALE_AFTER


@dataclass(slots=True)
class Verdict:
    """What becomes of a feed's rows.

    `refused` has the refused cars by id, `why` their sentences. `displaced` has those of other
    feeds' rows that go off sale, since a customer has the car by a row of this one: by that row's
    car id.
    """

    offered: list[OfferedCar] = field(default_factory=list)
    refused: dict[str, OfferedCar] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    displaced: dict[str, list[Claim]] = field(default_factory=dict)

    def refuse(self, car: OfferedCar, why: str) -> None:
        self.refused[car.car_id] = car
        self.why.setdefault(car.car_id, why)


def identified(
    known: Mapping[str, KnownCar], offered: Iterable[OfferedCar], now: datetime
) -> list[OfferedCar]:
    """The offered cars with what is known of which physical cars they are."""
    return [_identified(car, known.get(car.car_id), now) for car in offered]


def _identified(car: OfferedCar, old: KnownCar | None, now: datetime) -> OfferedCar:
    if old is None or old.identity is None:
        return car
    if old.taken:
        stated = old.stated if car.identity is None else car.identity
        return replace(
            car, identity=old.identity, stated=None if stated == old.identity else stated
        )
    gone_for_good = not old.in_feed and now - old.changed_at >= RESALE_AFTER
    if car.identity is not None or gone_for_good:
        return car
    return replace(car, identity=old.stated or old.identity)


def judge(
    offered: Sequence[OfferedCar],
    known: Mapping[str, KnownCar],
    claims: Iterable[Claim],
    place: tuple[str, str],
    now: datetime,
) -> Verdict:
    """Who may offer which car in the feed of a source in a market (`place`)."""
    verdict = Verdict()
    by_identity: dict[str, list[OfferedCar]] = {}
    for car in offered:
        for identity in car.identities:
            by_identity.setdefault(identity, []).append(car)
    for rows in by_identity.values():
        if len(rows) > 1:
            _judge_rows(rows, known, now, verdict)
    in_feed = {car.car_id for car in offered}
    for claim in claims:
        # What the rows of this feed say now was judged above.
        if claim.car_id in in_feed:
            continue
        for claimed in {claim.identity, claim.stated} - {None}:
            for car in by_identity.get(claimed or "", ()):
                _judge_claim(car, known.get(car.car_id), claimed, claim, place, now, verdict)
    verdict.offered = [car for car in offered if car.car_id not in verdict.refused]
    return verdict


def displaced(
    known: Mapping[str, KnownCar],
    unreadable: Mapping[str, str | None],
    claims: Iterable[Claim],
    place: tuple[str, str],
    now: datetime,
) -> set[str]:
    """Ids of other feeds' rows of cars that customers have by rows which could not be taken."""
    theirs = {
        identity
        for car_id, identity in unreadable.items()
        if identity and _is_taken(known.get(car_id), now)
    }
    return {
        claim.car_id
        for claim in claims
        if claim.listed
        and (claim.source, claim.market) != place
        and not theirs.isdisjoint({claim.identity, claim.stated})
    }


def _judge_rows(
    rows: Sequence[OfferedCar], known: Mapping[str, KnownCar], now: datetime, verdict: Verdict
) -> None:
    """Several rows of one feed are one car: at most one of them is right."""
    taken = {row.car_id for row in rows if _is_taken(known.get(row.car_id), now)}

    def rank(row: OfferedCar) -> tuple[bool, bool, bool, str]:
        old = known.get(row.car_id)
        return row.car_id in taken, row.named, bool(old and old.listed), row.stock_id

    best = max(rows, key=rank)
    for car in rows:
        if car is not best or len(taken) > 1:
            other = next(row for row in rows if row is not car) if car is best else best
            verdict.refuse(
                car,
                f"by its VIN, of this row or of an earlier one, this is the car with the id"
                f" {other.stock_id!r} in the same feed. A car has one row: leave the other one out,"
                " or give each its own VIN.",
            )


def _judge_claim(
    car: OfferedCar,
    old: KnownCar | None,
    identity: str | None,
    claim: Claim,
    place: tuple[str, str],
    now: datetime,
    verdict: Verdict,
) -> None:
    if not _is_taken(old, now):
        listed = old is not None and old.listed and old.identity == identity
        if claim.keeps(*place, now, but_listed=listed):
            verdict.refuse(car, claim.why(*place))
        return
    # A customer has the car: nobody else is offered it by another row.
    if claim.listed and (claim.source, claim.market) != place:
        verdict.displaced.setdefault(car.car_id, []).append(claim)
    if claim.state != "available" and claim.keeps(*place, now):
        verdict.refuse(
            car,
            f"customers have this car twice: by this row and by {claim.stock_id!r} of the source"
            f" {claim.source}. Each was promised it before the VIN was stated, and keeps what was"
            " promised; it is offered to nobody else. Settle with the other dealer who gets it.",
        )


def _is_taken(old: KnownCar | None, now: datetime) -> bool:
    return old is not None and is_somebodys(old, now)
