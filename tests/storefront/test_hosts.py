"""A shopper's cookies are where the payment leads back to."""

from __future__ import annotations

import httpx
import pytest
from starlette.responses import PlainTextResponse

from app.storefront.hosts import OneHost


@pytest.mark.parametrize(
    ("public", "host", "address"),
    [
        (
            "https://shop.example",
            "www.shop.example",
            "https://shop.example/se/en/cars%20x?a=1&b=%2F",
        ),
        (
            "https://www.shop.example",
            "shop.example",
            "https://www.shop.example/se/en/cars%20x?a=1&b=%2F",
        ),
        ("https://shop.example", "shop.example.", "https://shop.example/se/en/cars%20x?a=1&b=%2F"),
        (
            "https://shop.example",
            "WWW.Shop.Example:443",
            "https://shop.example/se/en/cars%20x?a=1&b=%2F",
        ),
        ("https://shop.example", "shop.example", None),
        ("https://shop.example", "shop.example:443", None),
        ("https://shop.example", "evil.example", None),
        ("https://shop.example", "10.0.0.7:8000", None),
        ("http://127.0.0.1:8000", "localhost:8000", None),
        ("https://shop.example", "[::1]:8000", None),
        ("", "www.shop.example", None),
    ],
)
async def test_the_other_spelling_of_the_public_host_leads_to_it(
    public: str, host: str, address: str | None
) -> None:
    shop = OneHost(PlainTextResponse("a page"), public_url=public)
    transport = httpx.ASGITransport(shop)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/se/en/cars%20x?a=1&b=%2F", headers={"host": host})
        form = await client.post("/se/en/purchases", headers={"host": host})

    assert answer.headers.get("location") == address
    assert form.text == "a page"
