"""Visits: when a session begins, what is known of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.frame.sessions import LABELS, Session, SessionCodec
from app.kernel.channels import ChannelGroup
from app.storefront.agents import device_of
from app.storefront.visits import Arrival, traffic_of, visit

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
LAPTOP = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/130.0"
ARRIVAL = Arrival(
    at=1_000,
    market="SE",
    language="sv",
    user_agent=PHONE,
    labels={"campaign": "advent"},
    consent=True,
)
RUNNING = Session(
    session_id="ses_1", started_at=900, seen_at=990, market="SE", language="sv", campaign="spring"
)


def test_a_first_request_begins_a_session_with_what_it_says() -> None:
    begun = visit(None, ARRIVAL)

    assert begun.started
    assert begun.changed
    assert begun.session == Session(
        session_id=begun.session.session_id,
        started_at=1_000,
        seen_at=1_000,
        market="SE",
        language="sv",
        device="phone",
        campaign="advent",
        channel_group="unassigned",
        analytics=True,
        proven=False,
    )


def test_a_later_request_of_the_same_minute_sets_no_cookie() -> None:
    going_on = visit(RUNNING, replace(ARRIVAL, labels={}, at=1_000))

    assert (going_on.session, going_on.started, going_on.changed) == (RUNNING, False, False)


def test_a_session_is_renewed_once_a_minute() -> None:
    going_on = visit(RUNNING, replace(ARRIVAL, labels={}, at=1_060))

    assert going_on.session == replace(RUNNING, seen_at=1_060)
    assert going_on.changed


def test_the_last_campaign_counts_and_its_name_is_cleaned() -> None:
    going_on = visit(RUNNING, replace(ARRIVAL, labels={"campaign": "black\n" + "x" * 200}))

    assert going_on.session.campaign == "black " + "x" * 94


def test_the_labels_of_one_click_stay_together() -> None:
    first = visit(RUNNING, replace(ARRIVAL, labels={"campaign": "advent", "source": "mail"}))
    second = visit(first.session, replace(ARRIVAL, labels={"source": "search", "term": "estate"}))
    browsing = visit(second.session, replace(ARRIVAL, labels={}))

    assert (first.session.campaign, first.session.source) == ("advent", "mail")
    assert {name: getattr(browsing.session, name) for name in LABELS} == {
        "campaign": "",
        "source": "search",
        "medium": "",
        "content": "",
        "term": "estate",
    }


@pytest.mark.parametrize(
    ("click", "group", "source"),
    [
        ({"labels": {"source": "letter", "medium": "email"}}, "email", "letter"),
        ({"click_ids": {"gclid"}}, "paid_search", ""),
        ({"referrer": "facebook.com"}, "organic_social", ""),
        ({}, "affiliates", "partner"),
        ({"labels": {"source": "(direct)", "medium": "(none)"}}, "affiliates", "partner"),
    ],
)
def test_the_last_click_that_was_not_direct_brought_a_session(
    click: dict[str, Any], group: ChannelGroup, source: str
) -> None:
    brought = replace(RUNNING, channel_group="affiliates", source="partner", medium="affiliate")
    going_on = visit(brought, replace(ARRIVAL, **{"labels": {}, **click}))

    assert (going_on.session.channel_group, going_on.session.source) == (group, source)


def test_a_session_that_nothing_brought_is_direct() -> None:
    assert visit(None, replace(ARRIVAL, labels={})).session.channel_group == "direct"


def test_a_session_of_the_version_before_goes_on_with_what_is_known() -> None:
    assert visit(RUNNING, replace(ARRIVAL, labels={})).session.channel_group == ""


def test_a_session_with_the_longest_labels_fits_into_its_cookie() -> None:
    codec = SessionCodec("key")
    labels = dict.fromkeys(LABELS, "\N{AUTOMOBILE}" * 101)
    longest = visit(None, replace(ARRIVAL, labels=labels))

    assert longest.session.term == "\N{AUTOMOBILE}" * 100
    assert codec.decode(codec.encode(longest.session), now=1_000) == longest.session


def test_the_market_follows_the_address() -> None:
    moved = visit(RUNNING, replace(ARRIVAL, market="FI", language="en", labels={}))

    assert (moved.session.market, moved.session.language) == ("FI", "en")


@pytest.mark.parametrize(
    ("agent", "synthetic", "traffic"),
    [
        (LAPTOP, False, "human"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", False, "bot"),
        ("curl/8.5.0", False, "bot"),
        ("curl/8.5.0", True, "synthetic"),
        ("", False, "human"),
    ],
)
def test_proof_beats_what_an_agent_says_of_itself(
    agent: str, synthetic: bool, traffic: str
) -> None:
    assert traffic_of(agent, synthetic=synthetic) == traffic


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (PHONE, "phone"),
        (LAPTOP, "desktop"),
        ("Mozilla/5.0 (Linux; Android 14; Pixel 8) Mobile Safari", "phone"),
        ("Mozilla/5.0 (Linux; Android 14; SM-X910) Safari", "tablet"),
        ("Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) Mobile/15E148", "tablet"),
        ("", "unknown"),
    ],
)
def test_a_device_is_known_by_its_words(agent: str, device: str) -> None:
    assert device_of(agent) == device
