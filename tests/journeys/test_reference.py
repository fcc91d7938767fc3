"""The APIs' reference pages, as a developer's browser sees them."""

from __future__ import annotations

import pytest

from tests.journeys.conftest import Visit

pytestmark = [pytest.mark.integration, pytest.mark.browser]

PAGES = {
    "/api/catalog/v1/docs": "/api/catalog/v1/feeds/{source}",
    "/api/advisor/v1/docs": "/api/advisor/v1/matches",
    "/api/checkout/v1/docs": "/api/checkout/v1/orders",
    "/api/insight/v1/docs": "/api/insight/v1/feedback",
    "/docs": "/robots.txt",
    "/sandbox/docs": "/sandbox/v1/payments",
}


def test_each_reference_page_draws_its_operations_from_our_own_files(visit: Visit) -> None:
    page = visit("/docs")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for address, operation in PAGES.items():
        page.goto(address)
        page.get_by_text(operation, exact=True).first.wait_for()
        assert page.locator("nav a[aria-current]").get_attribute("href") == address
    own = page.url.split("/sandbox")[0]
    assert not [url for url in asked if not url.startswith((own, "data:", "blob:"))]
