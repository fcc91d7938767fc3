"""Pages as browsers and assistive technology see them."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from rigs.processes import wait_until
from tests.builders.running import RunningShop
from tests.journeys.conftest import Visit, choose_car

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
PAGES = (
    "/se/en",
    "/se/sv/cars?fuel=electric",
    "/se/en/cars?body=van&max_price=1",
    "/se/en/models",
    "/se/sv/models/norrsken",
    "/se/en/advisor",
    "/se/en/advisor/people",
    "/se/en/advisor/budget",
    "/se/en/advisor/place",
    "/se/en/advisor/character",
    "/se/en/advisor/matches?seats=5&practical=4&near=Solna",
    "/se/sv/how-it-works",
    "/se/en/privacy",
    "/se/en/nope",
)


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong, each with the element that it is wrong about."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in found]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_accessible_and_never_wider_than_a_phone(visit: Visit, path: str) -> None:
    page = visit(path, viewport=PHONE, has_touch=True, is_mobile=True)
    expect(page.locator("h1")).to_have_count(1)

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_the_pages_of_a_purchase_are_accessible(visit: Visit) -> None:
    page = visit("/se/en/cars")
    choose_car(page)
    of_car = violations(page)
    page.get_by_role("button", name="Hold this car").click()
    page.locator("form .button.wide").click()
    expect(page.get_by_role("alert")).to_be_visible()

    assert (of_car, violations(page)) == ([], [])


def test_the_list_can_be_used_with_a_keyboard_alone(visit: Visit) -> None:
    page = visit("/se/en/cars")

    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.locator("#today").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")

    expect(page.locator(".chip")).to_contain_text("Ready today")


def test_measurements_begin_only_after_a_yes(visit: Visit, shop: RunningShop) -> None:
    def beacons() -> int:
        return sum(line.get("http_route") == "/api/insight/v1/events" for line in shop.log())

    page = visit("/se/en")
    page.locator("h1").click()
    page.goto("/se/en/models")
    page.goto("/se/en")
    before = beacons()
    page.get_by_role("button", name="Yes, you may").click()
    expect(page.locator("html")).to_have_attribute("data-analytics", "granted")
    page.locator("h1").click()
    page.goto("/se/en/models")
    page.goto("/se/en")

    assert before == 0
    wait_until(lambda: beacons() > 0, timeout_seconds=20, what="a beacon arrives")
