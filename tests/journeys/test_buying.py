"""Buying a car in a browser: both ways, in both languages, with and without JavaScript."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.builders.running import RunningShop
from tests.journeys.conftest import Visit, choose_car, confirmed, give_details, pay

pytestmark = pytest.mark.browser


def _advised(page: Page) -> None:
    """Answer all questions with what is chosen already, but five seats and a practical car."""
    page.locator("main form button").click()
    page.check("#seats-5")
    for _ in range(4):
        page.locator(".question-actions button").click()
    page.check("#practical-4")
    page.locator(".question-actions button").click()
    page.wait_for_url(re.compile(r"/advisor/matches"))


def test_who_knows_buys_a_car_directly(visit: Visit, shop: RunningShop) -> None:
    page = visit("/se/en")
    page.locator(".journey-know").click()
    page.select_option("#near", "Solna")
    page.check("#fuel-electric")
    page.locator(".filter-actions button").click()
    expect(page.locator(".chip")).to_contain_text("Electric")
    choose_car(page)

    page.get_by_role("button", name="Hold this car").click()
    expect(page.locator("[data-countdown]")).to_have_text(re.compile(r"1[45]:\d\d"))
    give_details(page)
    pay(page)
    confirmed(page)

    expect(page.get_by_role("heading", level=1)).to_contain_text("yours to collect")
    page.check("#csat-5")
    page.check("#nps-10")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#feedback")).to_contain_text("Thank you for telling us")
    assert shop.process.running


def test_who_does_not_know_is_advised_and_buys(visit: Visit) -> None:
    page = visit("/se/en")
    page.locator(".journey-help").click()
    _advised(page)

    expect(page.locator(".score strong")).to_have_text(re.compile(r"\d+"))
    expect(page.locator(".reasons").first.locator(".against").first).to_be_visible()
    page.check("#csat-4")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#feedback")).to_contain_text("Thank you for telling us")
    choose_car(page)
    page.get_by_role("button", name="Hold this car").click()
    give_details(page)
    pay(page)
    confirmed(page)


def test_the_slower_of_two_shoppers_is_shown_similar_cars(visit: Visit) -> None:
    fast, slow = visit("/se/en/cars"), visit("/se/en/cars")
    address = choose_car(fast)
    slow.goto(address)

    fast.get_by_role("button", name="Hold this car").click()
    expect(fast.locator("[data-countdown]")).to_be_visible()
    slow.get_by_role("button", name="Hold this car").click()

    expect(slow.get_by_role("heading", level=1)).to_have_text("Somebody was a moment faster")
    expect(slow.locator(".card")).to_have_count(3)
    choose_car(slow)
    slow.get_by_role("button", name="Hold this car").click()
    expect(slow.locator("[data-countdown]")).to_be_visible()


def test_a_car_is_bought_in_swedish(visit: Visit) -> None:
    page = visit("/", locale="sv-SE")
    expect(page).to_have_url(re.compile(r"/se/sv$"))
    page.get_by_role("link", name="Se lediga bilar").first.click()
    choose_car(page)
    page.get_by_role("button", name="Håll den här bilen").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Vem tar nycklarna?")
    give_details(page)
    pay(page)
    confirmed(page)

    expect(page.get_by_role("heading", level=1)).to_contain_text("väntar på dig")
    page.locator(".chooser summary").click()
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("yours to collect")


def test_a_declined_card_leads_to_another_try(visit: Visit) -> None:
    page = visit("/se/en/cars")
    choose_car(page)
    page.get_by_role("button", name="Hold this car").click()
    give_details(page)
    pay(page, "4000 0000 0000 0002")
    if "/sandbox/" in page.url:
        page.locator(".back a").click()
    expect(page.locator("[data-order-state=declined]")).to_be_visible()

    page.get_by_role("link", name="Try again").click()
    give_details(page)
    pay(page)
    confirmed(page)


@pytest.mark.parametrize("way", ["directly", "advised"])
def test_everything_works_without_javascript(visit: Visit, way: str) -> None:
    phone = {"width": 390, "height": 844}
    page = visit("/se/en", java_script_enabled=False, viewport=phone, has_touch=True)
    if way == "directly":
        page.locator(".journey-know").click()
    else:
        page.locator(".journey-help").click()
        _advised(page)
    choose_car(page)
    page.get_by_role("button", name="Hold this car").click()
    expect(page.locator("[data-countdown]")).to_have_text(re.compile(r"1[45]:\d\d"))
    give_details(page)
    pay(page)
    confirmed(page)


def test_a_held_car_is_led_back_to_and_given_back(visit: Visit) -> None:
    page = visit("/se/en/cars")
    choose_car(page)
    page.get_by_role("button", name="Hold this car").click()
    page.goto("/se/en/models")
    page.locator(".holdbar").click()
    page.get_by_role("button", name="Give the car back").click()

    expect(page).to_have_url(re.compile(r"/cars/car_"))
    expect(page.locator(".holdbar")).to_have_count(0)


def test_going_back_and_second_tabs_lead_to_one_s_own_holds(visit: Visit) -> None:
    page = visit("/se/en/cars")
    # By address: a car that is held leaves the list, and its neighbours move up, within a second.
    others = [link.get_attribute("href") for link in page.locator("a.card-link").all()[1:4]]
    address = choose_car(page)
    second = page.context.new_page()
    second.goto(address)

    page.get_by_role("button", name="Hold this car").click()
    expect(page.locator("[data-countdown]")).to_be_visible()
    first = page.url
    second.get_by_role("button", name="Hold this car").click()
    expect(second).to_have_url(first)

    page.get_by_role("button", name="Give the car back").click()
    expect(page).to_have_url(address)
    while not page.get_by_role("button", name="Hold this car").count():
        page.reload()  # the catalogue hears of it within a second
    second.go_back()
    second.get_by_role("button", name="Hold this car").click()
    expect(second.locator("[data-countdown]")).to_be_visible()
    assert second.url != first

    for other in others:
        page.goto(str(other))
        page.get_by_role("button", name="Hold this car").click()
        page.wait_for_url(re.compile(r"/purchases"))
    expect(page.get_by_role("alert")).to_contain_text("as many cars as one shopper may")
    expect(page.locator(".holds .card")).to_have_count(3)
    page.get_by_role("button", name="Give the car back").first.click()
    page.wait_for_url(re.compile(r"/cars/car_"))
    page.goto("/se/en")
    expect(page.locator(".holdbar")).to_contain_text("2 cars are held for you")


def test_at_another_name_of_this_machine_the_payment_leads_back(
    visit: Visit, shop: RunningShop
) -> None:
    page = visit(f"{shop.base_url.replace('127.0.0.1', 'localhost')}/se/en/cars")
    choose_car(page)
    page.get_by_role("button", name="Hold this car").click()
    give_details(page)
    pay(page)
    confirmed(page)
