"""The pages of the ledger that one batch of facts touches, in memory.

A page is what is known of one visit, checkout or order: earliest moments, flags, sums. Facts change
it in whatever order they come, with the same result (`rules.py`); what it adds to the numbers is a
function of the page alone (`entries.py`). Plain data: no SQL, no clock, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from app.insight.ledger.accounts import Entry, Segment
from app.kernel.channels import ChannelGroup

LATE: Final = timedelta(days=30)
"""A visit, a checkout, an order's payment is shorter: none has facts before and after so long."""

BEFORE: Final = timedelta(microseconds=1)


@dataclass(slots=True)
class SessionPage:
    """One session. `segment` and `started_at` are unknown until its start has been read.

    `first_seen` and `last_seen` are the shopper's acts; the last is before the first until one is
    told of.

    `reached` has the first moment of each step, by the step's measure; `suspected` is why a
    program was seen behind it, and `crashed` the release whose page broke.
    """

    session_id: str
    first_seen: datetime
    last_seen: datetime
    segment: Segment | None = None
    started_at: datetime | None = None
    awaits_proof: bool = False
    proven: bool = False
    suspected: str | None = None
    views: int = 0
    key_event: bool = False
    ordered: bool = False
    reached: dict[str, datetime] = field(default_factory=dict)
    closed_at: datetime | None = None
    channel_group: ChannelGroup | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    campaign: str = ""
    visitor_id: str | None = None
    crashed: str | None = None

    def seen(self, at: datetime) -> None:
        """Note an act. Until the first is told of, the last lies before the first."""
        if self.last_seen < self.first_seen:
            self.first_seen = self.last_seen = at
        self.first_seen = min(self.first_seen, at)
        self.last_seen = max(self.last_seen, at)

    def reach(self, step: str, at: datetime) -> None:
        self.reached[step] = min(self.reached.get(step, at), at)

    @property
    def active_seconds(self) -> float:
        """Between the shopper's first and last act."""
        return (self.last_seen - self.first_seen).total_seconds()


@dataclass(slots=True)
class CheckoutPage:
    """One hold, or one refused attempt; known by its end alone until its start has been read.

    `result` is how it ended: a payment that came too late turns any other end into `ordered`.
    """

    checkout_id: str
    segment: Segment | None = None
    session_id: str = ""
    started_at: datetime | None = None
    trace_id: str = ""
    ended_at: datetime | None = None
    result: str | None = None
    suspected: bool = False
    channel_group: ChannelGroup | None = None
    campaign: str = ""


@dataclass(slots=True)
class OrderPage:
    """One order; money in minor units, durations in seconds.

    `happened` has the moment of what became of it, by `entries.ORDER_MOMENTS`; `state` and
    `ended_at` follow from it.
    """

    order_id: str
    hold_id: str
    car_id: str
    segment: Segment | None = None
    session_id: str = ""
    model_id: str = ""
    state: str = "payment_pending"
    provider: str = ""
    price: int = 0
    currency: str = ""
    campaign: str = ""
    release: str = ""
    submitted_at: datetime | None = None
    confirmed_at: datetime | None = None
    ended_at: datetime | None = None
    order_seconds: float | None = None
    confirmation_seconds: float | None = None
    submitted_trace: str = ""
    payment_trace: str = ""
    confirmed_trace: str = ""
    happened: dict[str, datetime] = field(default_factory=dict)
    return_reason: str = ""
    channel_group: ChannelGroup | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    visitor_id: str | None = None
    customer_id: str | None = None


Page = SessionPage | CheckoutPage | OrderPage


@dataclass(slots=True)
class Books:
    """What is loaded for a batch, and what the batch makes of it.

    `standing` are the entries of each page as they are stored, by subject and measure. `single` are
    new entries of facts that have no page, `taken` those that are stored: one for each subject and
    measure. `why` says for a subject what changes it.
    """

    sessions: dict[str, SessionPage] = field(default_factory=dict)
    checkouts: dict[str, CheckoutPage] = field(default_factory=dict)
    orders: dict[str, OrderPage] = field(default_factory=dict)
    cars: dict[str, str] = field(default_factory=dict)
    standing: dict[str, dict[str, Entry]] = field(default_factory=dict)
    single: dict[tuple[str, str], Entry] = field(default_factory=dict)
    taken: set[tuple[str, str]] = field(default_factory=set)
    why: dict[str, str] = field(default_factory=dict)
    booked: set[str] = field(default_factory=set)
    """Ids of events that are booked."""
    forgotten: set[str] = field(default_factory=set)
    """Visitors whose id has to go; `erased`: orders whose customer's has."""
    erased: set[str] = field(default_factory=set)
    kept_since: datetime | None = None
    """Sessions and checkouts of before may have left; None while none has."""

    def is_late(self, at: datetime) -> bool:
        """Whether what a fact of this moment is about may have been counted and have left.

        Such a fact makes no session or checkout, so that nothing counts twice.
        """
        return self.kept_since is not None and at < self.kept_since + LATE

    def once(self, subject: str, entry: Entry) -> None:
        """Book an entry of a fact without a page, unless its subject has one of the measure."""
        key = (subject, entry.measure)
        if key not in self.taken:
            self.taken.add(key)
            self.single[key] = entry

    def session(self, session_id: str, at: datetime) -> SessionPage:
        """The page of a session, opened when this is the first that we hear of it.

        What opens it need be no act of the shopper's: what was found out about a visit may be told
        before the visit.

        One that may have left is not opened again: what is written on its page is thrown away.
        """
        page = self.sessions.get(session_id)
        if page is None:
            page = SessionPage(session_id, at, at - BEFORE)
            if not self.is_late(at):
                self.sessions[session_id] = page
        return page

    def checkout(self, checkout_id: str, at: datetime) -> CheckoutPage:
        """The page of a checkout, like a session's."""
        page = self.checkouts.get(checkout_id)
        if page is None:
            page = CheckoutPage(checkout_id)
            if not self.is_late(at):
                self.checkouts[checkout_id] = page
        return page
