"""A running shop and browsers that visit it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.builders.running import RunningShop, running_shop

Visit = Callable[..., Page]
"""Opens a page of a new browser context (its own cookies); keywords go to the context."""

SECONDS = 20_000
PAYS = "4242 4242 4242 4242"


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningShop]:
    with running_shop(tmp_path_factory.mktemp("journeys")) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path, "Chromium is missing: sudo apt-get install -y chromium"
    expect.set_options(timeout=SECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[
                *("--no-sandbox", "--disable-gpu", "--disable-quic"),
                "--disable-background-networking",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(shop: RunningShop, chromium: Browser) -> Iterator[Visit]:
    """Every page that was opened must have stayed free of script errors and policy violations."""
    contexts, complaints = [], []

    def complain(message: ConsoleMessage) -> None:
        # A refused form (409, 422) is an answer, not a mistake of the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def open_page(path: str, **options: Any) -> Page:
        context = chromium.new_context(
            base_url=shop.base_url, **{"viewport": {"width": 1280, "height": 900}, **options}
        )
        context.set_default_timeout(SECONDS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def choose_car(page: Page) -> str:
    """Go from the list to the first car's page; returns its address."""
    page.locator("a.card-link").first.click()
    page.wait_for_url(re.compile(r"/cars/car_"))
    return page.url


def give_details(page: Page) -> None:
    """Fill in the details and go on to the provider's page."""
    page.fill("#name", "Anna Ask")
    page.fill("#email", "anna@example.se")
    page.fill("#phone", "+46 70 123 45 67")
    page.locator("form .button.wide").click()
    page.wait_for_url(re.compile(r"/sandbox/pay/"))


def pay(page: Page, card: str = PAYS) -> None:
    """Pay on the provider's hosted page; it leads back to the shop."""
    page.fill("[name=card_number]", card)
    page.fill("[name=expiry]", "12/30")
    page.fill("[name=cvc]", "123")
    page.fill("[name=name]", "Anna Ask")
    page.locator("form button").click()


def confirmed(page: Page) -> None:
    """Wait until the order page says so."""
    expect(page.locator("[data-order-state=confirmed]")).to_be_visible()
