"""The catalogue's public API, and the change feed on the internal port."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, cast

import orjson
from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime
from starlette.requests import Request
from starlette.responses import Response

from app.catalog.feeds.spool import spool
from app.catalog.guards import Confirmed
from app.catalog.imports import DEFAULT_ADAPTER, Importer
from app.catalog.search import CarQuery, find_cars, minute
from app.catalog.shelf import Shelf, ShelfCar, shelf_car
from app.catalog.staging import Feed
from app.catalog.store import Store
from app.contracts.catalog import (
    Body,
    Car,
    CarPage,
    DealerList,
    FeedReport,
    Fuel,
    Model,
    ModelList,
    Sort,
)
from app.contracts.wire import Identifier, Term, problem_responses
from app.frame.inbound.callers import caller_of
from app.frame.inbound.conditional import has_already
from app.frame.inbound.dealers import DealerKeys, KeyHolder
from app.kernel.clock import Clock, rfc3339
from app.kernel.errors import InvalidInput, NotFound
from telemetry.catalogue.labels import Market

PREFIX: Final = "/api/catalog/v1"
MOST_PER_PAGE: Final = 100
REVALIDATE: Final = {"cache-control": "private, no-cache", "vary": "cookie, x-vitrine-synthetic"}
"""Whoever keeps an answer asks first: a held car must be gone within two seconds."""


def public_routes(
    shelf: Shelf,
    store: Store,
    importer: Importer,
    models: list[Model],
    clock: Clock,
    *,
    dealer_keys: DealerKeys,
) -> APIRouter:
    router = APIRouter(prefix=PREFIX)
    _add_cars(router, shelf, clock)
    _add_range(router, shelf, models)
    _add_feeds(router, shelf, store, importer, dealer_keys, clock)
    return router


def _add_cars(router: APIRouter, shelf: Shelf, clock: Clock) -> None:
    @router.get(
        "/cars",
        summary="Available stock cars",
        response_model=CarPage,
        responses={304: {"description": "Nothing has changed"}, **problem_responses(422, 503)},
    )
    async def cars(
        request: Request,
        market: Annotated[Market | None, Query(examples=["SE"])] = None,
        model: Annotated[list[Term] | None, Query(max_length=40, examples=[["alken"]])] = None,
        body: Annotated[list[Body] | None, Query(max_length=20)] = None,
        fuel: Annotated[list[Fuel] | None, Query(max_length=20)] = None,
        colour: Annotated[
            list[Term] | None,
            Query(max_length=20, description="colour family or name", examples=[["blue"]]),
        ] = None,
        dealer: Annotated[list[Term] | None, Query(max_length=40)] = None,
        exclude: Annotated[
            list[Term] | None, Query(max_length=100, description="car_id to leave out")
        ] = None,
        min_seats: Annotated[int | None, Query(ge=1, le=9)] = None,
        max_price: Annotated[
            int | None,
            Query(ge=1, le=10**12, description="minor units of the market's currency"),
        ] = None,
        near: Annotated[
            str | None,
            Query(max_length=60, description="`lat,lon` in degrees", examples=["59.33,18.06"]),
        ] = None,
        ready_today: Annotated[
            bool, Query(description="the dealer is open today and the car ready before it closes")
        ] = False,
        sort: Annotated[
            Sort | None, Query(description="default: distance with `near`, else price")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 24,
        cursor: Annotated[str | None, Query(min_length=1, max_length=300)] = None,
    ) -> Response:
        """Pages are stable while stock moves: a cursor names a place in the order, not a count."""
        caller = caller_of(request)
        place = _place(near)
        if sort == "distance" and place is None:
            raise _invalid("near", "is needed to sort by distance, like 59.33,18.06")
        if max_price is not None and market is None:
            raise _invalid("market", "is needed with max_price, which is in its currency")
        now = minute(clock.now())
        tag = f'W/"{shelf.version}-{int(now.timestamp()) // 60}-{"s" if caller.synthetic else "p"}"'
        headers = {**REVALIDATE, "etag": tag}
        if has_already(request.headers.get("if-none-match", ""), tag):
            return Response(status_code=304, headers=headers)
        query = CarQuery(
            market=market,
            models=frozenset(model or ()),
            bodies=frozenset(body or ()),
            fuels=frozenset(fuel or ()),
            colours=frozenset(text.casefold() for text in colour or ()),
            dealers=frozenset(dealer or ()),
            exclude=frozenset(exclude or ()),
            min_seats=min_seats,
            max_price=max_price,
            near=place,
            ready_today=ready_today,
            sort=sort,
            limit=limit,
            cursor=cursor,
            rehearsal=caller.synthetic,
        )
        return _json(find_cars(shelf, query, now=now), headers)

    @router.get(
        "/cars/{car_id}",
        summary="One car, whatever its state",
        response_model=Car,
        responses=problem_responses(404, 422, 503),
    )
    async def car(request: Request, car_id: Identifier) -> Response:
        """Held, reserved and sold cars are shown with their state; withdrawn ones are gone."""
        found = await shelf.car(car_id)
        if (
            found is None
            or not found.known_to_shoppers
            or found.rehearsal != caller_of(request).synthetic
        ):
            raise NotFound("There is no car with this id on offer; it may have been withdrawn.")
        return _json(_car_json(shelf, found, minute(clock.now())), REVALIDATE)


def _add_range(router: APIRouter, shelf: Shelf, models: list[Model]) -> None:
    by_id = {model.model_id: model.model_dump_json().encode() for model in models}
    all_models = ModelList(items=models).model_dump_json().encode()
    kept = {"cache-control": "public, max-age=60"}

    @router.get("/models", summary="The range", response_model=ModelList)
    async def range_of_models() -> Response:
        return _json(all_models, kept)

    @router.get(
        "/models/{model_id}",
        summary="One model's sheet with its personality",
        response_model=Model,
        responses=problem_responses(404, 422),
    )
    async def model(model_id: Identifier) -> Response:
        found = by_id.get(model_id)
        if found is None:
            raise NotFound("There is no model with this id in the range.")
        return _json(found, kept)

    @router.get(
        "/dealers",
        summary="Dealers with place and opening hours",
        response_model=DealerList,
        responses=problem_responses(422),
    )
    async def dealers(
        market: Annotated[Market | None, Query(examples=["SE"])] = None,
    ) -> Response:
        found = [d for d in shelf.dealers.values() if market in (None, d.market)]
        found.sort(key=lambda dealer: (dealer.market, dealer.name, dealer.dealer_id))
        return _json(DealerList(items=found).model_dump_json().encode(), kept)


def _add_feeds(
    router: APIRouter,
    shelf: Shelf,
    store: Store,
    importer: Importer,
    dealer_keys: DealerKeys,
    clock: Clock,
) -> None:
    @router.post(
        "/feeds/{source}",
        summary="Import one source's stock feed",
        responses=problem_responses(400, 401, 403, 409, 413, 422, 429, 503),
        openapi_extra={
            "requestBody": {
                "required": True,
                "description": "The feed's bytes, in the format of the adapter (docs/feeds.md)",
                "content": {"text/plain": {"schema": {"type": "string", "format": "binary"}}},
            },
            "security": [{"dealer_key": []}],
        },
    )
    async def feeds(
        request: Request,
        source: Annotated[
            str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,38}$", examples=["my-dealer-group"])
        ],
        adapter: Annotated[
            str, Query(max_length=60, description="the source kind")
        ] = DEFAULT_ADAPTER,
        market: Annotated[
            Market | None, Query(description="may be left out when the source has one market")
        ] = None,
        confirm_removal: Annotated[
            bool, Query(description="lift the guard: the source really lost that much stock")
        ] = False,
        confirm_prices: Annotated[
            bool, Query(description="lift the guard: the prices really changed that much")
        ] = False,
        exported_at: Annotated[
            AwareDatetime | None,
            Query(
                description="when the feed was made; one older than the last is refused",
                examples=["2026-12-01T03:00:00Z"],
            ),
        ] = None,
    ) -> FeedReport:
        """Replaces the source's stock in the market by the feed: all of it, or nothing."""
        sender = _holder(request, dealer_keys)
        sender.check_source(source)
        chosen = market or await _only_market(store, source)
        made_at = _made_at(exported_at, clock.now())
        context = caller_of(request).context(market=chosen)
        with spool() as content:
            async for part in request.stream():
                await asyncio.to_thread(content.write, part)
            feed = Feed(source, chosen, adapter, content, made_at, sent_by=sender.name)
            report = await importer.run(feed, context, Confirmed(confirm_removal, confirm_prices))
        await shelf.refresh()
        return report


def internal_routes(shelf: Shelf, store: Store, clock: Clock) -> APIRouter:
    router = APIRouter()

    @router.get("/changes")
    async def changes(
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=2000)] = 1000,
        epoch: Annotated[str, Query(max_length=40)] = "",
    ) -> Response:
        """Cars that changed since a version, as they stand now (app.contracts.stock).

        For a reader of another `epoch`, or of a version that is yet to come, from the start: the
        database was restored.
        """
        await shelf.refresh()
        anew = bool(epoch) and (epoch != shelf.epoch or after > shelf.version)
        after = 0 if anew else after
        found = await store.changed_since(after, limit=limit)
        now = clock.now()
        items = []
        for stored in found:
            dealer = shelf.dealers.get(stored.dealer_id)
            if dealer is None:
                raise AssertionError("a refreshed shelf knows the dealer of every stored car")
            items.append(_change(shelf, shelf_car(stored, dealer), now))
        return _json(
            b'{"epoch":"%s","anew":%s,"version":%d,"more":%s,"items":[%s]}'
            % (
                shelf.epoch.encode(),
                b"true" if anew else b"false",
                found[-1].version if found else after,
                b"true" if len(found) == limit else b"false",
                b",".join(items),
            ),
            {},
        )

    return router


def _change(shelf: Shelf, car: ShelfCar, now: datetime) -> bytes:
    lead = car.handover_lead
    around = orjson.dumps(
        {
            "version": car.version,
            "car_id": car.car_id,
            "listed": car.listed,
            "rehearsal": car.rehearsal,
            "state": car.state,
            "handover_at": None if car.handover_at is None else rfc3339(car.handover_at),
            "handover_lead_seconds": None if lead is None else int(lead.total_seconds()),
        }
    )
    return b'%s,"dealer":%s,"car":%s}' % (
        around[:-1],
        car.dealer.model_dump_json().encode(),
        _car_json(shelf, car, now),
    )


def _car_json(shelf: Shelf, car: ShelfCar, now: datetime) -> bytes:
    return car.json(at=now, distance_km=None, closing=shelf.closing(car.dealer, minute(now)))


def _json(body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, media_type="application/json", headers=headers)


def _holder(request: Request, dealer_keys: DealerKeys) -> KeyHolder:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return dealer_keys.holder(given if scheme.casefold() == "bearer" else "")


async def _only_market(store: Store, source: str) -> Market:
    markets = {state.market for state in await store.feed_states() if state.source == source}
    if len(markets) != 1:
        raise _invalid("market", "says where the feed's cars are on offer; name it")
    return cast("Market", markets.pop())


def _place(near: str | None) -> tuple[float, float] | None:
    if near is None:
        return None
    try:
        lat, lon = (float(part) for part in near.split(","))
    except ValueError:
        lat = lon = math.nan
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        raise _invalid("near", "must be a latitude and a longitude in degrees, like 59.33,18.06")
    return lat, lon


def _made_at(moment: datetime | None, now: datetime) -> datetime | None:
    """A moment that storage can hold, and not one to come: later exports would look old."""
    if moment is None:
        return None
    try:
        made_at = moment.astimezone(UTC)
    except OverflowError:
        made_at = datetime.max.replace(tzinfo=UTC)
    if not timedelta(days=-365) <= made_at - now <= timedelta(hours=1):
        raise _invalid("exported_at", "must be a moment of the past year, with its zone")
    return min(made_at, now)


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(
        f"{field}: {message}.", errors=[{"field": field, "in": "query", "message": message}]
    )
