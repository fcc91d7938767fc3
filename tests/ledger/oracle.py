"""What a ledger must hold, worked out a second time: plain Python over CloudEvents as JSON.

Written from docs/ledger.md. Nothing here is imported from the product, and nothing is taken over
from it: all that is known of a visit or an order is looked at at once, however it was told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

Wire = Mapping[str, Any]

STEPS = ("session", "car_view", "hold", "details", "payment", "order")
ADVICE = ("advice_start", "advice_complete", "match_view", "hold", "order")
KNOWN_CAMPAIGNS = ("black-week", "newsletter")
LOSSES = ("cancelled", "returned", "refunded")

SHOPPERS = {
    *("storefront.session.started", "storefront.page.viewed", "storefront.advice.started"),
    *("storefront.advice.step_answered", "advisor.advice.given", "storefront.match.viewed"),
    *("storefront.feedback.given", "checkout.hold.placed", "checkout.hold.refused"),
    *("checkout.order.submitted", "checkout.payment.attempted", "checkout.order.confirmed"),
}
MATTER = {
    *("advisor.advice.given", "storefront.feedback.given", "checkout.hold.placed"),
    *("checkout.hold.refused", "checkout.order.submitted", "checkout.order.confirmed"),
}
PROVE = SHOPPERS - {"storefront.session.started", "storefront.page.viewed"} | {
    *("storefront.session.proven", "browser.web_vital", "browser.crash"),
}


class Row(NamedTuple):
    """One entry that counts; `segment` is market, channel, device, entry, traffic."""

    label: tuple[str, ...]
    segment: tuple[str, ...]
    group: str
    campaign: str
    at: datetime
    moment: datetime
    amount: int


Rows = dict[tuple[str, str], Row]
"""By subject and measure."""


def expected(events: Iterable[Wire]) -> Rows:
    """Every entry that counts once all of this was told, in whatever order."""
    once = sorted({event["id"]: event for event in events}.values(), key=lambda e: e["time"])
    found: Rows = {}
    visits: dict[str, list[Wire]] = defaultdict(list)
    orders: dict[str, list[Wire]] = defaultdict(list)
    for event in once:
        visits[event.get("sessionid") or event["data"].get("session_id") or ""].append(event)
        orders[event["data"].get("order_id") or ""].append(event)
        found |= dict(_alone(event))
    strangers = visits.pop("", [])
    orders.pop("", None)
    for name, told in visits.items():
        found |= {(name, measure): row for measure, row in _visit(told)}
    suspects = {name for name, told in visits.items() if _of(told, "storefront.session.suspected")}
    found |= dict(_checkouts(once, suspects))
    for name, told in orders.items():
        found |= {(name, measure): row for measure, row in _order(told)}
    assert all("sessionid" not in event for event in strangers)
    return found


def _time(event: Wire) -> datetime:
    return datetime.fromisoformat(event["time"])


def _of(told: Iterable[Wire], *types: str) -> list[Wire]:
    return [event for event in told if event["type"] in types]


def _segment(event: Wire) -> tuple[str, ...]:
    return tuple(
        event.get(name, "") for name in ("market", "channel", "device", "entry", "traffic")
    )


def _campaign(event: Wire) -> str:
    name = str(event.get("campaign", "")).strip().lower()
    return name if name in ("", *KNOWN_CAMPAIGNS) else "other"


def _suspicious(segment: tuple[str, ...]) -> tuple[str, ...]:
    return (*segment[:4], "suspect") if segment[4] == "human" else segment


def _visit(told: list[Wire]) -> Iterator[tuple[str, Row]]:
    starts = _of(told, "storefront.session.started")
    if not starts:
        return
    start = starts[0]
    views = _views(told)
    segment = _visit_segment(start, told, len(views))
    if segment is None:
        return
    at, group, campaign = _time(start), start["data"]["channel_group"], _campaign(start)

    for measure, moment, label in _of_visit(told, at, len(views)):
        yield measure, Row(label, segment, group, campaign, at, moment, 1)
    over = _of(told, "ledger.session.closed")
    seen = max(1, len(views)) if over else 1
    yield "views", Row((), segment, group, campaign, at, at, seen)


def _of_visit(
    told: list[Wire], at: datetime, views: int
) -> Iterator[tuple[str, datetime, tuple[str, ...]]]:
    yield "session", at, ()
    acts = [_time(event) for event in told if event["type"] in SHOPPERS]
    stayed = (max(acts) - min(acts)).total_seconds() > 10
    if stayed or views > 1 or _of(told, *MATTER):
        yield "engaged", at, ()
    if _of(told, "checkout.order.confirmed"):
        yield "converted", at, ()
    for step, moment in _reached(STEPS, _shop_steps(told, at)):
        yield f"step.{step}", moment, (step,)
    for step, moment in _reached(ADVICE, _advice_steps(told)):
        yield f"advice.{step}", moment, (step,)
    for moment, result in _advice_end(told, _of(told, "ledger.session.closed")):
        yield "advice", moment, (result,)
    for measure, names in (
        ("visitor", {event["visitorid"] for event in told if event.get("visitorid")}),
        ("crash", {event["data"]["release"] for event in _of(told, "browser.crash")}),
    ):
        for name in sorted(names)[:1]:
            yield measure, at, (name,)


def _views(told: list[Wire]) -> list[Wire]:
    return [
        event
        for event in _of(told, "storefront.page.viewed")
        if event["source"] == "/storefront" and not event["data"]["again"]
    ]


def _visit_segment(start: Wire, told: list[Wire], views: int) -> tuple[str, ...] | None:
    """None while nobody knows whether it was a browser."""
    proven = views > 1 or any(event["type"] in PROVE for event in told)
    unproven = start["data"]["awaits_proof"] and not proven
    suspected = bool(_of(told, "storefront.session.suspected"))
    if unproven and not suspected and not _of(told, "ledger.session.closed"):
        return None
    return _suspicious(_segment(start)) if unproven or suspected else _segment(start)


def _advice_end(told: list[Wire], closed: list[Wire]) -> Iterator[tuple[datetime, str]]:
    advised = _advice_steps(told)
    missed = [e for e in _of(told, "advisor.advice.given") if e["data"]["result"] != "completed"]
    if "advice_complete" in advised:
        yield advised["advice_complete"], "completed"
    elif closed and missed:
        yield _time(missed[0]), "no_match"
    elif closed and "advice_start" in advised:
        yield _time(closed[0]), "abandoned"


def _shop_steps(told: list[Wire], at: datetime) -> dict[str, datetime]:
    steps = {
        "checkout.hold.placed": "hold",
        "checkout.order.submitted": "details",
        "checkout.payment.attempted": "payment",
        "checkout.order.confirmed": "order",
    }
    found = {"session": at}
    for event in told:
        step = steps.get(event["type"])
        if event["type"] == "storefront.page.viewed" and event["data"]["page"] == "car":
            step = "car_view"
        if step:
            found.setdefault(step, _time(event))
    return found


def _advice_steps(told: list[Wire]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for event in told:
        step = {
            "storefront.advice.started": "advice_start",
            "storefront.match.viewed": "match_view",
        }.get(event["type"])
        if event["type"] == "advisor.advice.given" and event["data"]["result"] == "completed":
            step = "advice_complete"
        if event["type"] == "checkout.hold.placed" and event["entry"] == "advisor":
            step = "hold"
        if event["type"] == "checkout.order.confirmed" and event["entry"] == "advisor":
            step = "order"
        if step:
            found.setdefault(step, _time(event))
    return found


def _reached(
    steps: tuple[str, ...], moments: Mapping[str, datetime]
) -> Iterator[tuple[str, datetime]]:
    """Whoever came to a step came by those before; what has no moment has the next one's."""
    furthest = max((steps.index(step) for step in moments), default=-1)
    for number in range(furthest + 1):
        later = [moments[step] for step in steps[number:] if step in moments]
        yield steps[number], later[0]


def _checkouts(once: list[Wire], suspects: set[str]) -> Iterator[tuple[tuple[str, str], Row]]:
    bought = {e["data"]["hold_id"]: e for e in _of(once, "checkout.order.confirmed")}
    released = {e["data"]["hold_id"]: e for e in _of(once, "checkout.hold.released")}
    for start in _of(once, "checkout.hold.placed", "checkout.hold.refused"):
        name = start["data"].get("hold_id") or start["data"]["attempt_id"]
        end: tuple[datetime, str] | None = None
        if start["type"] == "checkout.hold.refused":
            end = _time(start), "sold_out"
        elif name in bought:
            end = _time(bought[name]), "ordered"
        elif name in released:
            end = _time(released[name]), released[name]["data"]["ended_as"]
        segment = _segment(start)
        if start.get("sessionid") in suspects and name not in bought:
            segment = _suspicious(segment)
        at = _time(start)
        rest = (segment, "unassigned", _campaign(start), at)
        yield (name, "checkout"), Row((), *rest, at, 1)
        if end is not None:
            yield (name, "checkout_end"), Row((end[1],), *rest, end[0], 1)


def _order(told: list[Wire]) -> Iterator[tuple[str, Row]]:
    confirmed = _of(told, "checkout.order.confirmed")
    if not confirmed:
        return
    order, data = confirmed[0], confirmed[0]["data"]
    at, campaign = _time(order), _campaign(order)
    submitted = _of(told, "checkout.order.submitted")
    group = submitted[0]["data"]["channel_group"] if submitted else "unassigned"

    def row(moment: datetime = at, *label: str, amount: int = 1) -> Row:
        return Row(label, _segment(order), group, campaign, at, moment, amount)

    yield "order", row()
    yield "order_value", row(at, data["currency"], amount=data["price"])
    for name in ("order_seconds", "confirmation_seconds"):
        yield name, row(amount=round(data[name] * 1_000_000))
    if campaign:
        yield "campaign_order", row(at, campaign)
    buyers = sorted(e["visitorid"] for e in (order, *submitted) if e.get("visitorid"))
    if buyers:
        yield "buyer", row(at, buyers[0])
    happened = {
        name: _time(_of(told, kind)[0])
        for name, kind in (
            ("cancelled", "checkout.order.cancelled"),
            ("returned", "checkout.order.returned"),
            ("refunded", "checkout.order.refunded"),
            ("delivered", "checkout.car.handed_over"),
        )
        if _of(told, kind)
    }
    for name in ("cancelled", "returned", "delivered"):
        if name in happened:
            reason = ("changed_mind",) if name == "returned" else ()
            yield name, row(happened[name], *reason)
    lost = sorted((happened[loss], LOSSES.index(loss)) for loss in LOSSES if loss in happened)
    if lost:
        label = (data["currency"], LOSSES[lost[0][1]])
        yield "order_value_lost", row(lost[0][0], *label, amount=data["price"])


def _alone(event: Wire) -> Iterator[tuple[tuple[str, str], Row]]:
    """What counts by itself: answers, measurements, roll-outs, advice without a visit."""
    data, at = event["data"], _time(event)

    def row(*label: str, amount: int = 1) -> Row:
        return Row(label, _segment(event), "unassigned", _campaign(event), at, at, amount)

    match event["type"]:
        case "storefront.feedback.given":
            yield (data["order_id"], "csat"), row(str(data["csat"]))
            bounds = ((9, "promoter"), (7, "passive"), (0, "detractor"))
            group = next(name for least, name in bounds if data["nps"] >= least)
            yield (data["order_id"], "nps"), row(group)
        case "browser.web_vital":
            amount = round(data["value"] * 1_000_000)
            yield (event["id"], data["name"]), row(data["page"], amount=amount)
        case "delivery.deployment":
            label = (data["service"], data["outcome"], data["kind"])
            nowhere = row(*label)._replace(segment=("",) * 5)
            yield (event["id"], "deployment"), nowhere
        case "advisor.advice.given" if "sessionid" not in event:
            yield (data["advice_id"], "advice"), row(data["result"])
            if data["result"] == "completed":
                for step in ("advice_start", "advice_complete"):
                    yield (data["advice_id"], f"advice.{step}"), row(step)
