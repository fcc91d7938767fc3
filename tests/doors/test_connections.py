"""One address opens connections and is slow with them: shoppers elsewhere notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from urllib.parse import urlsplit

import httpx
import pytest

from rigs.ports import LOOPBACK
from tests.doors.houses import LONG, House

pytestmark = pytest.mark.integration

STRANGER = "127.0.0.2"
SHOPPER = "127.0.0.3"
AT_ONCE = 2300 if LONG else 150
VISITS = 60 if LONG else 5
DROP_SECONDS = 2.0
POST = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 60000\r\n%s\r\n"
JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"

KINDS = {
    "nothing": b"",
    "headers": b"GET /se/en HTTP/1.1\r\nHost: x\r\nX-A: ",
    "hold": POST % (b"/api/checkout/v1/holds", JSON, b"Idempotency-Key: aaaaaaaaaaaa\r\n") + b"{",
    "form": POST % (b"/se/en/purchases", FORM, b"") + b"car_id=",
    "webhook": POST % (b"/api/checkout/v1/payment-events/sandbox", JSON, b"") + b"{",
    "feed": POST % (b"/api/catalog/v1/feeds/ellevar", JSON, b"") + b"{",
}
"""What a stranger sends at once; a drop follows every two seconds."""


@dataclass
class Flood:
    """`AT_ONCE` connections, each opened again when it ends."""

    port: int
    sent: bytes
    opened: int = 0
    said: Counter[bytes] = field(default_factory=Counter)
    open_now: int = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self._connect_for_ever()) for _ in range(AT_ONCE)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    async def _connect_for_ever(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                await self.connect()
            await asyncio.sleep(0.5)

    async def connect(self) -> None:
        """One connection, from its beginning to its end."""
        reader, writer = await asyncio.open_connection(
            LOOPBACK, self.port, local_addr=(STRANGER, 0)
        )
        self.opened += 1
        self.open_now += 1
        try:
            writer.write(self.sent)
            dropping = asyncio.create_task(self._drop(writer))
            try:
                self.said[(await reader.read())[9:12]] += 1
            finally:
                dropping.cancel()
        finally:
            self.open_now -= 1
            writer.close()

    async def _drop(self, writer: asyncio.StreamWriter) -> None:
        while self.sent:
            await asyncio.sleep(DROP_SECONDS)
            writer.write(b" ")


async def visit(shopper: httpx.AsyncClient, car_id: str) -> tuple[int, int, int]:
    """A page, a form and a hold."""
    page = await shopper.get("/se/en")
    form = await shopper.post("/se/en/consent", data={"analytics": "refused"})
    hold = await shopper.post(
        "/api/checkout/v1/holds",
        json={"car_id": car_id},
        headers={"idempotency-key": f'"{car_id}"'},
    )
    return page.status_code, form.status_code, hold.status_code


@pytest.mark.parametrize("kind", KINDS if LONG else ["hold", "headers"])
async def test_shoppers_get_through_whatever_one_address_keeps_open(
    house: House, kind: str
) -> None:
    flood = Flood(urlsplit(house.url).port or 0, KINDS[kind])
    # Each request on a connection of its own: a kept one may end while this loop is busy.
    alone = httpx.Limits(max_keepalive_connections=0)
    transport = httpx.AsyncHTTPTransport(local_address=SHOPPER, limits=alone)
    async with httpx.AsyncClient(
        base_url=house.url, transport=transport, timeout=60, trust_env=False
    ) as shopper:
        listed = await shopper.get("/api/catalog/v1/cars?market=SE&limit=100")
        cars = cycle(car["car_id"] for car in listed.json()["items"])
        with flood():
            while flood.opened < AT_ONCE:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
            met = Counter([await visit(shopper, next(cars)) for _ in range(VISITS)])

    # The fourth hold of a shopper is refused, and none of all of them is lost.
    assert {each[:2] for each in met} == {(200, 303)}
    assert {each[2] for each in met} <= {201, 200, 409, 429}


async def free_again(house: House) -> None:
    """Wait until the stranger's connections of the test before have ended at the shop as well."""
    transport = httpx.AsyncHTTPTransport(local_address=STRANGER)
    async with (
        asyncio.timeout(120),
        httpx.AsyncClient(base_url=house.url, transport=transport, trust_env=False) as stranger,
    ):
        served = 0
        while served < 20:
            try:
                served += (await stranger.get("/se/en", headers={"connection": "close"})).is_success
            except httpx.TransportError:
                served = 0


@pytest.mark.parametrize("kind", KINDS if LONG else ["hold"])
async def test_every_slow_connection_ends(house: House, kind: str) -> None:
    await free_again(house)
    flood = Flood(urlsplit(house.url).port or 0, KINDS[kind])
    async with asyncio.timeout(120):  # for a week without an end
        ended = await asyncio.gather(*(flood.connect() for _ in range(20)), return_exceptions=True)

    assert {type(each) for each in ended} <= {type(None), ConnectionResetError}
    assert flood.open_now == 0
    if kind in ("hold", "form"):
        assert flood.said[b"408"] > 0, (flood.said, Counter(map(repr, ended)))
