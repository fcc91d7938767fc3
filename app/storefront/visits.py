"""Visits: when a session starts, what is known of it, and how a request continues it.

Nothing personal is kept: a random id, the market, the language, the kind of device, the labels
and channel group of the click, whether the shopper agreed to measurements, the advice they were
given last and whether they have said what they thought of one. A session ends after
30 minutes without a request (`frame.sessions`). The cookie is necessary: a hold belongs to its
session.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from app.contracts.labels import as_label
from app.frame.sessions import LABELS, Session
from app.kernel.channels import known_group
from app.kernel.facts import EventContext
from app.kernel.ids import new_id
from app.storefront.acquisition import Click, channel_group
from app.storefront.agents import declares_itself, device_of
from telemetry.catalogue.labels import Entry, Traffic

RENEW_SECONDS: Final = 60
"""The cookie's `seen_at` is renewed at most this often: most answers set no cookie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What a request says about its visitor. `at` is Unix seconds.

    `labels` are what stands in its address for `frame.sessions.LABELS`, `click_ids` the names of
    `acquisition.CLICK_IDS` that stand there, `referrer` the host of another site that led here.
    """

    at: int
    market: str
    language: str
    user_agent: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    click_ids: Collection[str] = ()
    referrer: str = ""
    synthetic: bool = False
    agent: bool = False
    """A buying agent that we know has signed it."""
    consent: bool | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """A session as this request sees it. `started`: it began with this very request.

    `clicked`: a click that was not direct led to this request.
    """

    session: Session
    started: bool
    changed: bool
    clicked: bool = False

    def with_entry(self, entry: Entry) -> Visit:
        return self._with(replace(self.session, entry=entry))

    def with_analytics(self, analytics: bool) -> Visit:
        return self._with(replace(self.session, analytics=analytics))

    def with_proof(self) -> Visit:
        """The cookie came back."""
        return self._with(replace(self.session, proven=True))

    def with_visitor(self, visitor_id: str) -> Visit:
        """The visit of somebody who is known again; or, with an empty id, who is not."""
        return self._with(replace(self.session, visitor_id=visitor_id))

    def thanked_to(self, click: Mapping[str, str]) -> Visit:
        """A direct visit whose orders are thanked to an earlier click."""
        known = {name: click[name] for name in (*LABELS, "channel_group") if name in click}
        brought = {**known, "channel_group": known_group(known.get("channel_group", ""))}
        return self._with(replace(self.session, **brought))  # type: ignore[arg-type]

    def suspected(self) -> Visit:
        """The visit of a program that pretends: nothing is refused to it."""
        return self._with(replace(self.session, traffic="suspect"))

    def with_advice(self, advice_id: str) -> Visit:
        return self._with(replace(self.session, advice=advice_id))

    def with_rating(self) -> Visit:
        return self._with(replace(self.session, rated=True))

    def uncounted(self) -> Visit:
        """The visit of somebody who may do everything and is in no number."""
        return self._with(replace(self.session, counted=False))

    def _with(self, session: Session) -> Visit:
        return replace(self, session=session, changed=self.changed or session != self.session)

    def context(self, *, release: str, traceparent: str) -> EventContext:
        """The context of a fact stated during this request."""
        session = self.session
        return EventContext(
            session_id=session.session_id,
            market=session.market,
            channel=session.channel,
            device=session.device,
            entry=session.entry,
            campaign=session.campaign,
            release=release,
            variant=session.variant,
            traffic=session.traffic,
            visitor_id=session.visitor_id,
            traceparent=traceparent,
        )


def visit(session: Session | None, arrival: Arrival) -> Visit:
    """Continue a session, or begin one.

    The market and language follow the address; a click's labels and channel group count when they
    open a session or when a running session comes back through a click that is not direct (last
    non-direct click): together, because a source of one click says nothing of another's campaign.
    """
    labels: dict[str, Any] = {name: as_label(arrival.labels.get(name, "")) for name in LABELS}
    group = channel_group(
        Click(
            source=labels["source"],
            medium=labels["medium"],
            campaign=labels["campaign"],
            labelled=any(labels.values()),
            click_ids=arrival.click_ids,
            referrer=arrival.referrer,
        )
    )
    brought: dict[str, Any] = {**labels, "channel_group": group}
    if session is None:
        begun = _begin(arrival, brought)
        return Visit(begun, started=True, changed=True, clicked=group != "direct")
    current = replace(
        session,
        market=arrival.market,
        language=arrival.language,
        traffic=_proven(arrival, session.traffic),
        **({} if group == "direct" else brought),
    )
    renew = current != session or arrival.at - session.seen_at >= RENEW_SECONDS
    going_on = current.touched(arrival.at) if renew else session
    return Visit(going_on, started=False, changed=renew, clicked=group != "direct")


def _begin(arrival: Arrival, brought: Mapping[str, Any]) -> Session:
    return Session(
        session_id=new_id("ses", datetime.fromtimestamp(arrival.at, UTC)),
        started_at=arrival.at,
        seen_at=arrival.at,
        market=arrival.market,
        language=arrival.language,
        device=device_of(arrival.user_agent),
        traffic=_proven(arrival, traffic_of(arrival.user_agent, synthetic=arrival.synthetic)),
        analytics=arrival.consent,
        proven=False,
        **brought,
    )


def _proven(arrival: Arrival, traffic: Traffic) -> Traffic:
    """What a request proves of itself, else what it was taken for; a rehearsal stays one."""
    if arrival.synthetic or traffic == "synthetic":
        return "synthetic"
    return "agent" if arrival.agent else traffic


def traffic_of(user_agent: str, *, synthetic: bool) -> Traffic:
    """Proven rehearsals first; then robots that say so; everybody else is a person."""
    if synthetic:
        return "synthetic"
    return "bot" if declares_itself(user_agent) else "human"
