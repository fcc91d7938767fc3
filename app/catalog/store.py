"""The catalogue's rows: SQL lives here and in models only.

Every write first locks `stock_head`, so writers queue and versions ascend in commit order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import Any, Final, TypeVar

from sqlalchemy import Select, bindparam, func, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog.documents import dealer_of
from app.catalog.identity import Claim, VinHash
from app.catalog.models import cars, dealers, feeds, identity_key, stock_head
from app.catalog.swap import CLAIMED, KnownCar, OfferedCar, Swap
from app.contracts.catalog import Dealer
from app.frame.data.database import Database
from app.frame.data.outbox import Outbox
from app.frame.data.patience import unhurried
from app.kernel.clock import Clock
from app.kernel.facts import EventContext, Fact

READ_AT_ONCE: Final = 2000


@dataclass(frozen=True, slots=True)
class StockCar:
    """One stored car: the time-independent document and what changes around it."""

    car_id: str
    source: str
    market: str
    dealer_id: str
    document: Mapping[str, Any]
    handover_at: datetime | None
    handover_lead_seconds: int | None
    listed: bool
    state: str
    version: int


@dataclass(frozen=True, slots=True)
class FeedState:
    """When a source was last imported into a market."""

    source: str
    market: str
    adapter: str
    imported_at: datetime
    exported_at: datetime | None = None
    sent_by: str | None = None
    """Whose dealer key it came with."""


_OFFERED: Final = (
    cars.c.car_id,
    cars.c.source,
    cars.c.market,
    cars.c.dealer_id,
    cars.c.document,
    cars.c.handover_at,
    cars.c.handover_lead_seconds,
    cars.c.listed,
)
"""What a car's offer is made of."""

WRITTEN_AT_ONCE: Final = 500
"""A whole feed as rows would be several times its size."""

T = TypeVar("T")


def _at_once(items: Iterable[T]) -> Iterator[list[T]]:
    """The items in order, as many at a time as are written in one statement."""
    left = iter(items)
    while some := list(islice(left, WRITTEN_AT_ONCE)):
        yield some


async def offers(connection: AsyncConnection) -> tuple[Sequence[Any], dict[str, Dealer]]:
    """Every car that was ever offered, and the dealers that have one.

    Nobody changes the stock until the transaction ends.
    """
    await _lock(connection)
    query = select(*_OFFERED, cars.c.refused, cars.c.identity).order_by(cars.c.car_id)
    rows = (await connection.execute(query)).all()
    named = await connection.execute(select(dealers.c.dealer_id, dealers.c.document))
    return rows, {dealer_id: Dealer.model_validate(document) for dealer_id, document in named}


class Swapping:
    """One import's transaction, in which nobody else changes the stock."""

    def __init__(
        self, connection: AsyncConnection, outbox: Outbox, dialect: str, now: datetime
    ) -> None:
        self._connection = connection
        self._outbox = outbox
        self._insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
        self._now = now

    async def last_feed(self, source: str, market: str) -> FeedState | None:
        found = await self._connection.execute(
            select(feeds).where(feeds.c.source == source, feeds.c.market == market)
        )
        row = found.first()
        return None if row is None else FeedState(*row)

    async def known(
        self, source: str, market: str, offered: Iterable[OfferedCar]
    ) -> list[KnownCar]:
        """Everything that the source ever offered in the market.

        What is as in its feed now (`offered`) is one object with it: both wait to be compared.
        """
        now = {car.car_id: car for car in offered}
        query: Select[Any] = select(
            cars.c.car_id,
            cars.c.digest,
            cars.c.listed,
            cars.c.state,
            cars.c.document["price"]["amount"].as_float(),
            cars.c.identity,
            cars.c.stated,
            cars.c.stock_id,
            cars.c.refused,
            cars.c.changed_at,
        ).where(cars.c.source == source, cars.c.market == market)
        query = query.execution_options(yield_per=READ_AT_ONCE)
        return [
            KnownCar(*row).sharing(now.get(row.car_id))
            async for row in await self._connection.stream(query)
        ]

    async def listed_besides(self, source: str, market: str) -> int:
        """Listed cars of all other feeds."""
        others = or_(cars.c.source != source, cars.c.market != market)
        query = select(func.count()).select_from(cars).where(cars.c.listed, others)
        return await self._connection.scalar(query) or 0

    async def claims(self, identities: Sequence[str], *, besides: tuple[str, str]) -> list[Claim]:
        """Every row with one of the identities, but those of a source in a market (`besides`)."""
        source, market = besides
        found: dict[str, Claim] = {}
        for start in range(0, len(identities), READ_AT_ONCE):
            asked = identities[start : start + READ_AT_ONCE]
            rows = await self._connection.execute(
                select(
                    cars.c.car_id,
                    cars.c.source,
                    cars.c.market,
                    cars.c.stock_id,
                    cars.c.identity,
                    cars.c.stated,
                    cars.c.listed,
                    cars.c.refused,
                    cars.c.state,
                    cars.c.document["price"]["amount"].as_float(),
                    cars.c.changed_at,
                ).where(
                    or_(cars.c.identity.in_(asked), cars.c.stated.in_(asked)),
                    or_(cars.c.source != source, cars.c.market != market),
                )
            )
            found |= {row.car_id: Claim(*row) for row in rows}
        return list(found.values())

    async def save(self, swap: Swap, feed: FeedState) -> None:
        """Store the difference and that the feed was imported."""
        version = await _reserve(self._connection, swap.changes)
        await self._save_dealers(chain(swap.added, swap.noted, swap.changed))
        # First of all whoever leaves or is corrected gives its identity free for the others.
        version = await self._take_off_sale(swap, version)
        for changed in _at_once(swap.changed):
            await self._connection.execute(
                update(cars).where(cars.c.car_id == bindparam("of_car")).values(identity=None),
                [{"of_car": car.car_id} for car in changed],
            )
        fresh = [*swap.added, *swap.noted]
        for some in _at_once(enumerate(fresh)):
            await self._connection.execute(
                cars.insert(),
                [
                    {
                        **self._offer(car),
                        "car_id": car.car_id,
                        "source": feed.source,
                        "market": feed.market,
                        "stock_id": car.stock_id,
                        "listed": offset < len(swap.added),
                        "refused": None if offset < len(swap.added) else CLAIMED,
                        "state": "available",
                        "version": version + offset,
                        "first_listed_at": self._now,
                    }
                    for offset, car in some
                ],
            )
        version += len(fresh)
        for some in _at_once(enumerate(swap.changed)):
            await self._connection.execute(
                update(cars)
                .where(cars.c.car_id == bindparam("of_car"))
                .values(listed=True, refused=None, **{name: bindparam(name) for name in _OFFER}),
                [
                    {**self._offer(car), "of_car": car.car_id, "version": version + offset}
                    for offset, car in some
                ],
            )
        await self._save_feed(feed)

    async def _take_off_sale(self, swap: Swap, version: int) -> int:
        """Returns the next version."""
        off_sale = swap.off_sale
        for some in _at_once(enumerate(off_sale)):
            await self._connection.execute(
                update(cars)
                .where(cars.c.car_id == bindparam("of_car"))
                .values(listed=False, **{name: bindparam(name) for name in _OFF_SALE}),
                [
                    {
                        "of_car": off.car.car_id,
                        "identity": off.identity,
                        "stated": off.stated,
                        "refused": off.refused,
                        "changed_at": self._now if off.leaves else off.car.changed_at,
                        "version": version + offset,
                    }
                    for offset, off in some
                ],
            )
        version += len(off_sale)
        for displaced in _at_once(enumerate(swap.displaced)):
            await self._connection.execute(
                update(cars)
                .where(cars.c.car_id == bindparam("of_car"))
                .values(
                    listed=False,
                    refused=CLAIMED,
                    version=bindparam("version"),
                    changed_at=self._now,
                ),
                [{"of_car": car_id, "version": version + offset} for offset, car_id in displaced],
            )
        return version + len(swap.displaced)

    async def state_facts(self, facts: Iterable[Fact], context: EventContext) -> None:
        for some in _at_once(facts):
            await self._outbox.add(self._connection, some, context)

    def _offer(self, car: OfferedCar) -> dict[str, Any]:
        return {
            "dealer_id": car.dealer.dealer_id,
            "document": car.document,
            "handover_at": car.handover_at,
            "handover_lead_seconds": car.handover_lead_seconds,
            "digest": car.digest,
            "identity": car.identity,
            "stated": car.stated,
            "changed_at": self._now,
        }

    async def _save_dealers(self, offered: Iterable[OfferedCar]) -> None:
        named = {car.dealer.dealer_id: car.dealer for car in offered}
        if not named:
            return
        statement = self._insert(dealers)
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["dealer_id"], set_={"document": statement.excluded.document}
            ),
            [
                {"dealer_id": name, "document": dealer_of(dealer).model_dump(mode="json")}
                for name, dealer in sorted(named.items())
            ],
        )

    async def _save_feed(self, feed: FeedState) -> None:
        fresh = {
            "adapter": feed.adapter,
            "imported_at": feed.imported_at,
            "exported_at": feed.exported_at,
            "sent_by": feed.sent_by,
        }
        await self._connection.execute(
            self._insert(feeds)
            .values(source=feed.source, market=feed.market, **fresh)
            .on_conflict_do_update(index_elements=["source", "market"], set_=fresh)
        )


_OFFER: Final = (
    "dealer_id",
    "document",
    "handover_at",
    "handover_lead_seconds",
    "digest",
    "identity",
    "stated",
    "changed_at",
    "version",
)

_OFF_SALE: Final = ("identity", "stated", "refused", "changed_at", "version")


class Store:
    """Reads, and the two kinds of writes: an import's swap and checkout's states."""

    def __init__(self, database: Database, outbox: Outbox, clock: Clock) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock

    @asynccontextmanager
    async def swapping(self) -> AsyncIterator[Swapping]:
        """A transaction that commits when the block ends and changes nothing when it raises."""
        with unhurried():
            async with self._database.transaction() as connection:
                await _lock(connection)
                yield Swapping(connection, self._outbox, self._database.dialect, self._clock.now())

    async def vin_hash(self) -> VinHash:
        """What makes identities of VINs."""
        async with self._database.read() as connection:
            return VinHash((await connection.execute(select(identity_key.c.key))).scalar_one())

    async def edition(self) -> tuple[str, int]:
        """Which history of the stock this is, and its latest version.

        A database that was restored has another epoch, or versions that were given before.
        """
        query = text("SELECT (SELECT epoch FROM outbox_epoch), (SELECT version FROM stock_head)")
        async with self._database.read() as connection:
            epoch, version = (await connection.execute(query)).one()
        return epoch or "", int(version or 0)

    async def changed_since(self, version: int, *, limit: int) -> list[StockCar]:
        """Cars whose latest change is over `version`, oldest change first."""
        query = _stock_cars().where(cars.c.version > version)
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(cars.c.version).limit(limit))
            return [StockCar(*row) for row in rows]

    async def car(self, car_id: str) -> StockCar | None:
        async with self._database.read() as connection:
            found = await connection.execute(_stock_cars().where(cars.c.car_id == car_id))
            row = found.first()
        return None if row is None else StockCar(*row)

    async def dealers(self) -> list[Dealer]:
        """Every dealer that ever had a car on offer."""
        query = select(dealers.c.document).order_by(dealers.c.dealer_id)
        async with self._database.read() as connection:
            return [Dealer.model_validate(found) for found in await connection.scalars(query)]

    async def feed_states(self) -> list[FeedState]:
        query = select(feeds).order_by(feeds.c.source, feeds.c.market)
        async with self._database.read() as connection:
            return [FeedState(*row) for row in await connection.execute(query)]

    async def stock_numbers(self, source: str, market: str) -> tuple[int, list[str], int]:
        """A source in a market: cars ever offered, stock ids still for sale, how many available.

        Still for sale are the available and the held ones.
        """
        of_source = (cars.c.source == source, cars.c.market == market)
        async with self._database.read() as connection:
            ever = await connection.scalar(select(func.count()).select_from(cars).where(*of_source))
            unsold = await connection.execute(
                select(cars.c.stock_id, cars.c.state)
                .where(*of_source, cars.c.listed, cars.c.state.not_in(("reserved", "sold")))
                .order_by(cars.c.stock_id)
            )
            rows = unsold.all()
        available = sum(state == "available" for _, state in rows)
        return int(ever or 0), [stock_id for stock_id, _ in rows], available

    async def apply_states(self, connection: AsyncConnection, states: Mapping[str, str]) -> int:
        """Follow checkout in the transaction of its consumer; returns how many cars changed.

        Cars that the catalogue does not know are left out: they are another deployment's.
        """
        await _lock(connection)
        rows = await connection.execute(
            select(cars.c.car_id, cars.c.state).where(cars.c.car_id.in_(sorted(states)))
        )
        changed = [car_id for car_id, state in rows if state != states[car_id]]
        if changed:
            version = await _reserve(connection, len(changed))
            await connection.execute(
                update(cars)
                .where(cars.c.car_id == bindparam("of_car"))
                .values(
                    state=bindparam("state"),
                    version=bindparam("version"),
                    changed_at=self._clock.now(),
                ),
                [
                    {"of_car": car_id, "state": states[car_id], "version": version + offset}
                    for offset, car_id in enumerate(changed)
                ],
            )
        return len(changed)

    async def free_all(self, connection: AsyncConnection) -> None:
        """Nobody has any car, until checkout has said anew who has which."""
        await _lock(connection)
        query = select(cars.c.car_id).where(cars.c.state != "available")
        taken = sorted(await connection.scalars(query))
        for start in range(0, len(taken), READ_AT_ONCE):
            freed = dict.fromkeys(taken[start : start + READ_AT_ONCE], "available")
            await self.apply_states(connection, freed)


def _stock_cars() -> Select[Any]:
    return select(*_OFFERED, cars.c.state, cars.c.version)


async def _lock(connection: AsyncConnection) -> None:
    """Wait for the other writer, if there is one; held until the transaction ends."""
    await connection.execute(update(stock_head).values(version=stock_head.c.version))


async def _reserve(connection: AsyncConnection, count: int) -> int:
    """The first of `count` fresh versions; the lock is held already."""
    last = await connection.scalar(select(stock_head.c.version))
    await connection.execute(update(stock_head).values(version=stock_head.c.version + count))
    return int(last or 0) + 1
