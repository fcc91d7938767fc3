"""The ledger's rules as a pure function of facts: exact, whatever the order or the repetition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contracts import events as facts
from app.insight.ledger.accounts import Cell, Segment, cells_of
from app.insight.ledger.booking import Booked, book_all
from app.insight.ledger.books import Books
from app.insight.ledger.changes import Restated
from app.kernel.facts import ContractBroken, Event, EventContext, Fact
from tests.builders.facts import (
    HUMAN,
    START,
    Stated,
    Writer,
    advice,
    attempted,
    cancelled,
    confirmed,
    hold,
    purchase,
    refunded,
    refused,
    released,
    returned,
    shopper,
    submitted,
    visit,
)
from tests.builders.ledger import Ledger, told

SE = Segment("SE", "web", "phone", "direct", "human")


def book(events: Iterable[Event]) -> Ledger:
    return told(list(events))


def test_a_purchase_moves_exactly_these_numbers() -> None:
    books = book(Writer().events(purchase(HUMAN, "1")))
    counters: dict[tuple[str, ...], int] = {
        (cell.metric, *cell.labels[5:]): value
        for cell, value in books.cells.items()
        if not cell.part
    }
    expected: dict[tuple[str, ...], int] = {
        ("shop_sessions_total",): 1,
        ("shop_sessions_engaged_total",): 1,
        ("shop_sessions_converted_total",): 1,
        ("shop_checkouts_started_total",): 1,
        ("shop_checkouts_ended_total", "ordered"): 1,
        ("shop_orders_total",): 1,
        ("shop_order_value_total", "SEK"): 48_990_000,
    }
    steps = ("session", "car_view", "hold", "details", "payment", "order")
    expected |= {("shop_funnel_steps_total", step): 1 for step in steps}
    assert counters == expected
    assert {cell.labels[:5] for cell in books.cells} == {SE}


def test_durations_are_booked_into_their_bucket_and_the_exact_sum() -> None:
    books = book(Writer().events(purchase(HUMAN, "1")))
    assert {
        (cell.metric, cell.part): value for cell, value in books.cells.items() if cell.part
    } == {
        ("shop_order_duration_seconds", "30.0"): 1,
        ("shop_order_duration_seconds", "sum"): 21_000_000,
        ("shop_confirmation_duration_seconds", "1.0"): 1,
        ("shop_confirmation_duration_seconds", "sum"): 800_000,
    }


def test_a_caller_without_a_session_buys_and_is_in_no_funnel() -> None:
    context = EventContext(market="NO")
    books = book(
        Writer().events(
            [hold(context, "1"), submitted(context, "1"), confirmed(context, "1")],
        )
    )
    assert books.total("shop_sessions_total") == 0
    assert books.total("shop_sessions_converted_total") == 0
    assert books.total("shop_funnel_steps_total") == 0
    assert books.total("shop_orders_total") == 1


@pytest.mark.parametrize("ended_as", ["abandoned", "declined", "expired", "sold_out"])
def test_a_released_hold_ends_its_checkout_as_it_says(ended_as: str) -> None:
    books = book(Writer().events([hold(HUMAN, "1"), released(HUMAN, "1", ended_as)]))
    assert books.total("shop_checkouts_ended_total", result=ended_as) == 1
    assert books.total("shop_checkouts_ended_total") == 1
    assert books.total("shop_orders_total") == 0


def test_the_losing_shopper_started_a_checkout_that_sold_out() -> None:
    books = book(Writer().events([refused(HUMAN, "1")]))
    assert books.total("shop_checkouts_started_total") == 1
    assert books.total("shop_checkouts_ended_total", result="sold_out") == 1
    assert books.total("shop_funnel_steps_total", step="hold") == 0


def test_a_payment_after_the_end_restates_how_the_checkout_ended() -> None:
    told = Ledger()
    events = Writer().events(
        [
            hold(HUMAN, "1"),
            submitted(HUMAN, "1"),
            released(HUMAN, "1", "expired"),
            confirmed(HUMAN, "1", after=960, late=True),
        ]
    )
    told.tell(events[:3])
    told.tell(events[3:])

    ended = "shop_checkouts_ended_total"
    assert told.counted[Cell(ended, (*SE, "expired"))] == 1
    assert told.counted[Cell(ended, (*SE, "ordered"))] == 0
    assert told.restated == {
        Restated(Cell(ended, (*SE, "expired")), "down", "late_payment"): 1,
        Restated(Cell(ended, (*SE, "ordered")), "up", "late_payment"): 1,
    }
    assert told.total(ended) == told.total(ended, result="ordered") == 1
    assert told.total("shop_orders_total") == 1


def test_an_order_before_its_sessions_start_converts_the_session_when_it_starts() -> None:
    facts_of = Writer().by_source(purchase(HUMAN, "1"))
    books = book(facts_of["checkout"])
    assert books.total("shop_orders_total") == 1
    assert books.total("shop_sessions_converted_total") == 0
    books.tell(facts_of["storefront"])
    assert books.total("shop_sessions_converted_total") == 1
    assert books.total("shop_sessions_total") == 1


def test_two_orders_convert_one_session_once() -> None:
    books = book(Writer().events([*purchase(HUMAN, "1"), hold(HUMAN, "2"), confirmed(HUMAN, "2")]))
    assert books.total("shop_orders_total") == 2
    assert books.total("shop_sessions_converted_total") == 1
    assert books.total("shop_funnel_steps_total", step="order") == 1


def answered(after: float) -> Stated:
    """A form on the home page led back to it."""
    return Stated("storefront", facts.PageViewed("home", again=True), HUMAN, after)


@pytest.mark.parametrize(
    ("stated", "engaged"),
    [
        (visit(HUMAN), 0),
        (visit(HUMAN, ("home", "cars")), 1),
        ([*visit(HUMAN), Stated("insight", facts.PageViewed("home"), HUMAN, 9.0)], 0),
        ([*visit(HUMAN), Stated("insight", facts.PageViewed("home"), HUMAN, 11.0)], 1),
        ([*visit(HUMAN), answered(2.0)], 0),
        ([*visit(HUMAN), answered(11.0)], 1),
        ([*visit(HUMAN, ("home", "cars")), answered(4.0)], 1),
        ([*visit(HUMAN), hold(HUMAN, "1")], 1),
        ([*visit(HUMAN), released(HUMAN, "1", "abandoned")], 0),
    ],
    ids=[
        "one view",
        "two views",
        "nine seconds",
        "eleven seconds",
        "a form led back",
        "a form led back after eleven seconds",
        "two views and a form",
        "key event",
        "not an act",
    ],
)
def test_engaged_is_over_ten_seconds_or_two_views_or_a_key_event(
    stated: list[Stated], engaged: int
) -> None:
    assert book(Writer().events(stated)).total("shop_sessions_engaged_total") == engaged


def test_advice_is_completed_and_its_steps_are_counted_once() -> None:
    advised = replace(HUMAN, entry="advisor")
    books = book(
        Writer().events(
            [
                *visit(HUMAN),
                *advice(advised, "adv_1"),
                *advice(advised, "adv_2", "no_match"),
                hold(advised, "1"),
                confirmed(advised, "1", advice_id="adv_1"),
            ]
        )
    )
    assert books.total("shop_advice_total") == 1
    assert books.total("shop_advice_total", result="completed") == 1
    assert {
        cell.labels[-1]: value
        for cell, value in books.cells.items()
        if cell.metric == "shop_advice_steps_total"
    } == {"advice_start": 1, "advice_complete": 1, "match_view": 1, "hold": 1, "order": 1}


NOTHING, CAR = "no_match", "completed"


@pytest.mark.parametrize(
    ("given", "before", "result", "advised"),
    [
        ([NOTHING], 0, "no_match", 0),
        ([NOTHING, NOTHING], 0, "no_match", 0),
        ([CAR], 1, "completed", 1),
        ([NOTHING, CAR], 1, "completed", 1),
        ([CAR, NOTHING], 1, "completed", 1),
    ],
)
def test_who_is_told_of_no_car_is_not_advised(
    given: list[str], before: int, result: str, advised: int
) -> None:
    told = [
        Stated("advisor", facts.AdviceGiven(f"adv_{number}", each, 0, 1), HUMAN, 30.0 + number)  # type: ignore[arg-type]
        for number, each in enumerate(given)
    ]
    books = book(Writer().events([*visit(HUMAN), *advice(HUMAN, "adv", None), *told]))
    assert books.total("shop_advice_total") == before
    books.close("ses_1", START + timedelta(minutes=31))
    books.close("ses_1", START + timedelta(minutes=32))
    assert books.total("shop_advice_total") == 1
    assert books.total("shop_advice_total", result=result) == 1
    assert books.total("shop_advice_steps_total", step="advice_complete") == advised


def test_a_caller_without_a_session_is_told_at_once_that_nothing_fits() -> None:
    given = facts.AdviceGiven("adv_1", "no_match", 0, 1)
    books = book(Writer().events([Stated("advisor", given, EventContext(market="SE"))] * 2))
    assert books.total("shop_advice_total", result="no_match") == 1
    assert books.total("shop_advice_total") == 1


def test_advice_without_a_car_that_is_read_after_its_session_was_closed_is_counted() -> None:
    writer = Writer()
    books = book(writer.events(visit(HUMAN)))
    books.close("ses_1", START + timedelta(minutes=31))
    given = facts.AdviceGiven("adv_1", "no_match", 0, 1)
    books.tell(writer.events([Stated("advisor", given, HUMAN, 30)]))
    assert books.total("shop_advice_total", result="no_match") == 1


def test_advice_that_was_begun_and_never_given_is_abandoned_when_the_session_closes() -> None:
    books = book(Writer().events([*visit(HUMAN), *advice(HUMAN, "adv_1", None)]))
    books.close("ses_1", START + timedelta(minutes=31))
    books.close("ses_1", START + timedelta(minutes=32))
    assert books.total("shop_advice_total", result="abandoned") == 1
    assert books.total("shop_advice_total") == 1


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"type": "checkout.order.gift_wrapped"}, "type: is of a later version"),
        ({"context": replace(HUMAN, market="XX")}, "context: its market is not one of ours"),
        ({"data": {}}, "SessionStarted: session_id: Field required"),
    ],
)
def test_what_this_version_cannot_book_is_said_so_and_not_lost(
    changed: dict[str, Any], why: str
) -> None:
    started = Writer().events(visit(HUMAN))[0]
    with pytest.raises(ContractBroken, match=why):
        book_all([replace(started, **changed)], Books())


def test_a_fact_without_a_market_is_rejected_and_the_rest_is_booked() -> None:
    events = Writer().events(purchase(HUMAN, "1"))
    nowhere = replace(events[0], id="evt_far", context=replace(HUMAN, market=""))
    books = Ledger()
    results = books.tell([nowhere, *events])
    assert results[0] == Booked(
        "evt_far", "storefront", "storefront.session.started", "rejected", "it has no market"
    )
    assert {one.result for one in results[1:]} == {"stored"}
    assert books.total("shop_orders_total") == 1


def test_an_order_without_a_market_is_counted_in_the_market_of_its_currency() -> None:
    books = book(Writer().events([confirmed(EventContext(), "1")]))
    assert books.cells[Cell("shop_orders_total", ("SE", "api", "unknown", "direct", "human"))] == 1


def test_an_unregistered_campaign_is_other_and_none_is_no_campaign() -> None:
    books = book(
        Writer().events(
            [
                confirmed(shopper(1, campaign="Black-Week"), "1"),
                confirmed(shopper(2, campaign="x" * 99), "2"),
                confirmed(shopper(3), "3"),
            ]
        )
    )
    assert {
        cell.labels[-1]: value
        for cell, value in books.cells.items()
        if cell.metric == "shop_campaign_orders_total"
    } == {"black-week": 1, "other": 1}


def test_feedback_is_counted_by_score_and_group() -> None:
    answers = [(5, 10), (4, 8), (1, 0), (None, 6), (9, 99)]
    stated = [
        Stated("storefront", facts.FeedbackGiven("confirmation", csat, nps), HUMAN)
        for csat, nps in answers
    ]
    books = book(Writer().events(stated))
    assert {
        (cell.metric, cell.labels[-1]): value
        for cell, value in books.cells.items()
        if "responses" in cell.metric
    } == {
        ("shop_csat_responses_total", "5"): 1,
        ("shop_csat_responses_total", "4"): 1,
        ("shop_csat_responses_total", "1"): 1,
        ("shop_nps_responses_total", "promoter"): 1,
        ("shop_nps_responses_total", "passive"): 1,
        ("shop_nps_responses_total", "detractor"): 2,
    }


def test_feedback_about_advice_is_counted_once_per_visit() -> None:
    stated = [
        Stated("insight", facts.FeedbackGiven("advice", csat, advice_id=advice_id), context)
        for csat, advice_id, context in (
            (5, "adv_1", HUMAN),
            (1, "adv_2", HUMAN),
            (2, "adv_3", shopper(2)),
        )
    ]
    books = book(Writer().events(stated))
    assert {
        cell.labels[-1]: value
        for cell, value in books.cells.items()
        if cell.metric == "shop_csat_responses_total"
    } == {"5": 1, "2": 1}


def test_feedback_is_counted_once_per_order() -> None:
    stated = [
        Stated("storefront", facts.FeedbackGiven("order", csat, None, order_id), HUMAN)
        for csat, order_id in ((5, "ord_1"), (1, "ord_1"), (1, "ord_2"))
    ]
    books = book(Writer().events(stated))
    assert {
        cell.labels[-1]: value
        for cell, value in books.cells.items()
        if cell.metric == "shop_csat_responses_total"
    } == {"5": 1, "1": 1}


@pytest.mark.parametrize(
    ("name", "value", "metric", "edge"),
    [
        ("FCP", 1.8, "browser_fcp_seconds", "1.8"),
        ("FCP", 1.81, "browser_fcp_seconds", "2.4"),
        ("FCP", 3.0, "browser_fcp_seconds", "3.0"),
        ("TTFB", 0.8, "browser_ttfb_seconds", "0.8"),
        ("TTFB", 1.8, "browser_ttfb_seconds", "1.8"),
        ("TTFB", 6.1, "browser_ttfb_seconds", "+Inf"),
    ],
)
def test_a_measurement_on_a_threshold_is_within_it(
    name: facts.VitalName, value: float, metric: str, edge: str
) -> None:
    measured = facts.WebVitalMeasured(name, value, "car")
    assert book(Writer().events([Stated("insight", measured, HUMAN)])).cells == Counter(
        {
            Cell(metric, ("phone", "car"), edge): 1,
            Cell(metric, ("phone", "car"), "sum"): round(value * 1_000_000),
        }
    )


def test_web_vitals_of_people_are_observed_and_those_of_rehearsals_are_not() -> None:
    measured = facts.WebVitalMeasured("LCP", 1.2, "car")
    books = book(
        Writer().events(
            [
                Stated("insight", measured, HUMAN),
                Stated("insight", measured, replace(HUMAN, traffic="synthetic")),
            ]
        )
    )
    assert books.cells == Counter(
        {
            Cell("browser_lcp_seconds", ("phone", "car"), "1.5"): 1,
            Cell("browser_lcp_seconds", ("phone", "car"), "sum"): 1_200_000,
        }
    )


# --- properties -----------------------------------------------------------------------------

UNSOLD = ("abandoned", "declined", "expired", "sold_out", "leave")


LOSING = {
    "cancelled": (cancelled, refunded),
    "returned": (returned, refunded),
    "refunded": (refunded,),
}


ENDINGS = ("order", "late", *LOSING, *UNSOLD)


def journey(number: int, ending: str, advised: bool) -> list[Stated]:
    """One shopper's whole story."""
    context = shopper(number, entry="advisor" if advised else "direct")
    name = str(number)
    stated = visit(context, ("home", "car"))
    if advised:
        stated += advice(context, f"adv_{number}")
    if ending == "leave":
        return stated
    if ending == "sold_out":
        return [*stated, refused(context, name)]
    stated += [hold(context, name)]
    if ending == "abandoned":
        return [*stated, released(context, name, "abandoned")]
    stated += [submitted(context, name), attempted(context, name)]
    if ending == "order":
        return [*stated, confirmed(context, name)]
    if ending in LOSING:
        lost = (each(context, name) for each in LOSING[ending])
        return [*stated, confirmed(context, name), *lost]
    if ending == "late":
        late = confirmed(context, name, after=960, late=True)
        return [*stated, released(context, name, "expired"), late]
    return [*stated, released(context, name, ending)]


JOURNEYS = st.lists(st.tuples(st.sampled_from(ENDINGS), st.booleans()), min_size=1, max_size=8).map(
    lambda drawn: [journey(i, ending, advised) for i, (ending, advised) in enumerate(drawn)]
)


@settings(max_examples=150, deadline=None)
@given(JOURNEYS, st.data())
def test_any_order_any_repetition_and_any_batches_make_the_same_books(
    journeys: list[list[Stated]], data: st.DataObject
) -> None:
    events = Writer().events([stated for story in journeys for stated in story])
    straight = told(events)
    repeated = data.draw(st.lists(st.sampled_from(events), max_size=10))
    shuffled = data.draw(st.permutations([*events, *repeated]))
    mixed = Ledger()
    while shuffled:
        size = data.draw(st.integers(1, len(shuffled)))
        mixed.tell(shuffled[:size])
        shuffled = shuffled[size:]

    assert mixed.entries == straight.entries
    assert mixed.cells == straight.cells
    assert straight.restated == Counter()
    for order_id, page in straight.books.orders.items():
        again = mixed.books.orders[order_id]
        assert (again.state, again.ended_at) == (page.state, page.ended_at)


@settings(max_examples=150, deadline=None)
@given(JOURNEYS, st.data())
def test_at_every_moment_the_numbers_are_what_the_entries_add_up_to(
    journeys: list[list[Stated]], data: st.DataObject
) -> None:
    events = Writer().events([stated for story in journeys for stated in story])
    ledger = Ledger()
    for event in data.draw(st.permutations(events)):
        ledger.tell([event])
        summed: Counter[Cell] = Counter()
        for entry in ledger.entries.values():
            for cell, amount in cells_of(entry):
                summed[cell] += amount
        assert ledger.cells == summed


@settings(max_examples=60, deadline=None)
@given(JOURNEYS)
def test_the_books_balance_after_any_set_of_journeys(journeys: list[list[Stated]]) -> None:
    books = book(Writer().events([stated for story in journeys for stated in story]))
    orders = sum(1 for page in books.books.orders.values() if page.confirmed_at)
    assert books.total("shop_orders_total") == orders
    assert books.total("shop_order_value_total") == 48_990_000 * orders
    lost = sum(page.state == "refunded" for page in books.books.orders.values())
    assert books.total("shop_order_value_lost_total") == 48_990_000 * lost
    started = books.total("shop_checkouts_started_total")
    assert books.total("shop_checkouts_ended_total") == started
    assert books.total("shop_sessions_converted_total") == orders
    assert books.total("shop_sessions_total") == len(journeys)


@pytest.mark.parametrize(
    ("later", "state"),
    [
        ([facts.OrderRefunded("ord_1", 500, "SEK", by="provider")], "refunded"),
        ([facts.OrderPartlyRefunded("ord_1", 5, "SEK")], "confirmed"),
        ([facts.OrderDisputed("ord_1", 500, "SEK")], "disputed"),
        ([facts.OrderDisputed("ord_1", 500, "SEK")] * 2, "disputed"),
        (
            [*[facts.OrderDisputed("ord_1", 500, "SEK")] * 2, facts.DisputeDecided("ord_1", "won")],
            "confirmed",
        ),
        (
            [facts.OrderDisputed("ord_1", 500, "SEK"), facts.DisputeDecided("ord_1", "won")],
            "confirmed",
        ),
        (
            [
                facts.OrderDisputed("ord_1", 500, "SEK"),
                facts.DisputeDecided("ord_1", "lost"),
                facts.OrderRefunded("ord_1", 500, "SEK", by="provider"),
            ],
            "refunded",
        ),
        (
            [
                facts.OrderDisputed("ord_1", 5, "SEK"),
                facts.DisputeDecided("ord_1", "lost"),
                facts.OrderPartlyRefunded("ord_1", 5, "SEK"),
            ],
            "confirmed",
        ),
        (
            [
                facts.OrderDisputed("ord_1", 5, "SEK"),
                facts.OrderDisputed("ord_1", 7, "SEK"),
                facts.DisputeDecided("ord_1", "won", others_open=True),
            ],
            "disputed",
        ),
    ],
)
def test_money_that_moves_later_changes_the_order_and_no_count_but_what_was_lost(
    later: list[Fact], state: str
) -> None:
    writer = Writer()
    bought = writer.events(purchase(HUMAN, "1"))
    (order_id,) = book(bought).books.orders
    moved = [replace(fact, order_id=order_id) for fact in later]  # type: ignore[call-arg]

    books = book([*bought, *writer.events([Stated("checkout", fact, HUMAN) for fact in moved])])

    assert books.books.orders[order_id].state == state
    lost = Cell("shop_order_value_lost_total", (*SE, "SEK", "refunded"))
    expected = {lost: 48_990_000} if state == "refunded" else {}
    assert books.cells == book(bought).cells + Counter(expected)


@pytest.mark.parametrize(
    ("later", "loss"),
    [
        ([cancelled], "cancelled"),
        ([cancelled, cancelled, refunded], "cancelled"),
        ([returned, refunded], "returned"),
        ([refunded, refunded], "refunded"),
        ([refunded, returned], "refunded"),
    ],
)
def test_an_orders_value_is_lost_once_by_what_happened_first(
    later: list[Callable[[EventContext, str], Stated]], loss: str
) -> None:
    told = replace(HUMAN, entry="advisor")  # whoever tells, it is the order's segment that loses
    happened = [
        replace(each(told, "1"), after=1000.0 + number) for number, each in enumerate(later)
    ]
    events = [*purchase(HUMAN, "1"), *happened]
    books = book(Writer().events(events))
    assert {
        cell.labels: value
        for cell, value in books.cells.items()
        if cell.metric == "shop_order_value_lost_total"
    } == {(*SE, "SEK", loss): 48_990_000}


def test_an_order_that_was_never_confirmed_loses_no_value() -> None:
    books = book(Writer().events([hold(HUMAN, "1"), submitted(HUMAN, "1"), refunded(HUMAN, "1")]))
    assert books.total("shop_order_value_lost_total") == 0


def test_a_session_keeps_what_brought_it_first_and_an_order_what_brought_it_last() -> None:
    first: dict[str, Any] = {
        "channel_group": "organic_search",
        "utm_source": "",
        "utm_medium": "",
    }
    last: dict[str, Any] = {"channel_group": "email", "utm_source": "letter", "utm_medium": "email"}
    stated = [
        *visit(HUMAN, **first),
        *visit(HUMAN, **last),
        submitted(HUMAN, "1", **last),
        submitted(HUMAN, "1", **first),
        confirmed(HUMAN, "1"),
    ]

    books = book(Writer().events(stated))

    for page, brought in (
        (books.books.sessions["ses_1"], first),
        (books.books.orders["ord_1"], last),
    ):
        assert {name: getattr(page, name) for name in brought} == brought


def test_a_fact_of_before_and_a_group_of_a_later_version_are_unassigned() -> None:
    later = shopper(2)
    stated = [
        *visit(HUMAN),
        submitted(HUMAN, "1"),
        *visit(later, channel_group="holograms"),
        submitted(later, "2", channel_group="holograms"),
    ]

    books = book(Writer().events(stated))

    found = [page.channel_group for page in books.books.sessions.values()]
    found += [page.channel_group for page in books.books.orders.values()]
    assert found == ["unassigned"] * 4


def test_a_forgotten_customer_takes_the_campaign_along_and_no_count() -> None:
    writer = Writer()
    campaign = replace(HUMAN, campaign="for somebody")
    words = {"channel_group": "email", "utm_source": "for", "utm_medium": "somebody"}
    bought = writer.events(purchase(campaign, "1", **words))
    (order_id,) = book(bought).books.orders
    erased = writer.events([Stated("checkout", facts.CustomerErased(order_id), HUMAN)])

    books = book([*bought, *erased])

    assert book(bought).books.orders[order_id].campaign == "for somebody"
    order, session = books.books.orders[order_id], books.books.sessions["ses_1"]
    assert (order.campaign, order.utm_source, order.utm_medium) == ("other", "", "")
    assert (session.utm_source, session.utm_medium) == ("", "")
    assert (order.channel_group, session.channel_group) == ("email", "email")
    assert books.cells == book(bought).cells
