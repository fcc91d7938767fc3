"""The business numbers, exported from insight's ledger, and what insight itself measures.

Ledger metrics are the same on every replica: take `max without (instance)` before any sum (the
builders in promql.py do). Every `shop_*` metric carries the same five segment labels.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from telemetry.catalogue.labels import (
    BUYERS,
    CHANNEL,
    CURRENCY_OF_MARKET,
    DEVICE,
    ENTRIES,
    ENTRY,
    MARKET,
    SERVICE,
    SERVICES,
    SHOP_MARKETS,
    TRAFFIC_LABEL,
)
from telemetry.catalogue.spec import Kind, Label, Metric

FactResult = Literal["stored", "duplicate", "rejected"]
BeaconResult = Literal["accepted", "rejected", "no_consent", "uncounted"]

SEGMENT = (MARKET, CHANNEL, DEVICE, ENTRY, TRAFFIC_LABEL)

FUNNEL_STEPS = ("session", "car_view", "hold", "details", "payment", "order")
ADVICE_STEPS = ("advice_start", "advice_complete", "match_view", "hold", "order")
CHECKOUT_ENDS = ("ordered", "abandoned", "sold_out", "declined", "expired")
ADVICE_RESULTS = ("completed", "abandoned", "no_match")
RETURN_REASONS = ("changed_mind", "not_as_described", "defect", "late", "other")

FUNNEL_STEP = Label("step", FUNNEL_STEPS, "A step of the purchase, in order.")
ADVICE_STEP = Label("step", ADVICE_STEPS, "A step of the advised purchase, in order.")
CHECKOUT_END = Label("result", CHECKOUT_ENDS, "How a started checkout ended.")
ADVICE_RESULT = Label("result", ADVICE_RESULTS, "How an advice session ended.")
LOSSES = ("cancelled", "returned", "refunded")
LOSS = Label(
    "loss",
    LOSSES,
    "What took the sale away: given up before handover, the car came back, or the money went back"
    " at the provider.",
)
RETURN_REASON = Label("reason", RETURN_REASONS, "Why a car came back.")
CURRENCY = Label("currency", tuple(CURRENCY_OF_MARKET.values()), "ISO 4217 code of the amount.")
CAMPAIGN = Label(
    "campaign",
    None,
    "Registered campaign; unknown ones are `other`.",
    bounded_by="campaign registry",
)
SCORE = Label("score", ("1", "2", "3", "4", "5"), "The answer, 5 is best.")
NPS_GROUP = Label("group", ("promoter", "passive", "detractor"), "9-10, 7-8 and 0-6.")
RELEASE = Label("release", None, "Release of the pages.", bounded_by="releases of 30 days")
PAGE = Label(
    "page",
    ("home", "cars", "car", "advisor", "matches", "checkout", "confirmation", "other"),
    "Kind of page, not its address.",
)
DEPLOYED = Label("service", SERVICES, "The service that was deployed.")
DEPLOY_OUTCOME = Label("outcome", ("succeeded", "failed", "rolled_back"), "How it ended.")
DEPLOY_KIND = Label("kind", ("planned", "rework"), "Planned work, or repair of an incident.")
FACT_SOURCE = Label("source", SERVICES, "The service whose facts are read.")
FACT_RESULT = Label("result", get_args(FactResult), "What became of one fact.")
BEACON_RESULT = Label("result", get_args(BeaconResult), "What became of one beacon of a browser.")

RESTATED_METRIC = Label(
    "metric", None, "The number that moved.", bounded_by="the ledger's metrics", limit=40
)
RESTATED_DIRECTION = Label("direction", ("up", "down"), "Which way.")
RESTATED_REASON = Label(
    "reason",
    ("late", "late_payment", "return", "suspect", "claim", "rules"),
    "Facts told late, money that came after the end, a sale that was lost, visits found out to be a"
    " program's, a campaign that was claimed, a new definition.",
)

# The segments that happen every day; the rest of the product appears when it first happens.
USUAL_SEGMENTS = tuple(
    (
        ("market", market),
        ("channel", channel),
        ("device", device),
        ("entry", entry),
        ("traffic", traffic),
    )
    for market in SHOP_MARKETS
    for channel, device in (
        ("web", "phone"),
        ("web", "tablet"),
        ("web", "desktop"),
        ("api", "unknown"),
    )
    for entry in ENTRIES
    for traffic in BUYERS
)
_USUAL_WITH_CURRENCY = tuple(
    (*segment, ("currency", CURRENCY_OF_MARKET[segment[0][1]])) for segment in USUAL_SEGMENTS
)

# 60 s is the threshold of the confirmation SLO.
CONFIRMATION_BUCKETS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
ORDER_BUCKETS = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0)


def _shop(
    name: str,
    description: str,
    *own: Label,
    unit: str,
    kind: Kind = "counter",
    buckets: tuple[float, ...] = (),
    zero_segments: tuple[tuple[tuple[str, str], ...], ...] = USUAL_SEGMENTS,
) -> Metric:
    """A ledger metric with the five segment labels and then its own."""
    return Metric(
        name=name,
        kind=kind,
        description=description,
        labels=(*SEGMENT, *own),
        unit=unit,
        owner="insight",
        source="ledger",
        buckets=buckets,
        shown_on="shop",
        zero_segments=zero_segments,
    )


SHOP_SESSIONS = _shop("shop_sessions_total", "Visits that began.", unit="sessions")
SHOP_SESSIONS_CONVERTED = _shop(
    "shop_sessions_converted_total", "Visits with at least one order.", unit="sessions"
)
SHOP_SESSIONS_ENGAGED = _shop(
    "shop_sessions_engaged_total",
    "Visits over ten seconds, with two views or with a key event.",
    unit="sessions",
)
SHOP_FUNNEL_STEPS = _shop(
    "shop_funnel_steps_total",
    "Visits that reached a step of the purchase, once per visit and step.",
    FUNNEL_STEP,
    unit="sessions",
)
SHOP_CHECKOUTS_STARTED = _shop(
    "shop_checkouts_started_total", "Cars put on hold by a shopper.", unit="checkouts"
)
SHOP_CHECKOUTS_ENDED = _shop(
    "shop_checkouts_ended_total",
    "Checkouts that reached an end, by which end.",
    CHECKOUT_END,
    unit="checkouts",
)
SHOP_ORDERS = _shop("shop_orders_total", "Orders ever confirmed.", unit="orders")
SHOP_ORDER_VALUE = _shop(
    "shop_order_value_total",
    "Price of confirmed orders with VAT, in minor units of the currency.",
    CURRENCY,
    unit="minor_units",
    zero_segments=_USUAL_WITH_CURRENCY,
)
SHOP_ORDER_VALUE_LOST = _shop(
    "shop_order_value_lost_total",
    "Price of confirmed orders that were given up, returned or paid back since, once per order and"
    " in minor units of the currency: order value less this is what the shop keeps.",
    CURRENCY,
    LOSS,
    unit="minor_units",
    zero_segments=_USUAL_WITH_CURRENCY,
)
SHOP_ORDER_DURATION = _shop(
    "shop_order_duration_seconds",
    "From submitting the order to its confirmation, the shopper's own typing included.",
    unit="seconds",
    kind="histogram",
    buckets=ORDER_BUCKETS,
)
SHOP_CONFIRMATION_DURATION = _shop(
    "shop_confirmation_duration_seconds",
    "From the provider's acceptance of the money to the confirmed order.",
    unit="seconds",
    kind="histogram",
    buckets=CONFIRMATION_BUCKETS,
)
SHOP_ADVICE = _shop(
    "shop_advice_total", "Advice sessions by how they ended.", ADVICE_RESULT, unit="sessions"
)
SHOP_ADVICE_STEPS = _shop(
    "shop_advice_steps_total",
    "Visits that reached a step of the advised purchase.",
    ADVICE_STEP,
    unit="sessions",
)
SHOP_ORDERS_CANCELLED = _shop(
    "shop_orders_cancelled_total", "Orders withdrawn before handover.", unit="orders"
)
SHOP_ORDERS_RETURNED = _shop(
    "shop_orders_returned_total", "Cars returned after handover.", RETURN_REASON, unit="orders"
)
SHOP_CAMPAIGN_ORDERS = _shop(
    "shop_campaign_orders_total",
    "Confirmed orders by the campaign that brought the shopper.",
    CAMPAIGN,
    unit="orders",
    zero_segments=(),
)
SHOP_CSAT_RESPONSES = _shop(
    "shop_csat_responses_total", "Answers to the satisfaction question.", SCORE, unit="answers"
)
SHOP_NPS_RESPONSES = _shop(
    "shop_nps_responses_total", "Answers to the recommendation question.", NPS_GROUP, unit="answers"
)


def _browser(name: str, description: str, unit: str, buckets: tuple[float, ...]) -> Metric:
    """A web vital; edges lie on the published thresholds (`GRADES`)."""
    return Metric(
        name=name,
        kind="histogram",
        description=description,
        labels=(DEVICE, PAGE),
        unit=unit,
        owner="insight",
        source="ledger",
        buckets=buckets,
        shown_on="shop",
    )


BROWSER_LCP = _browser(
    "browser_lcp_seconds",
    "Largest contentful paint of page views by people.",
    "seconds",
    (0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0),
)
BROWSER_INP = _browser(
    "browser_inp_seconds",
    "Interaction to next paint of page views by people.",
    "seconds",
    (0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0),
)
BROWSER_CLS = _browser(
    "browser_cls",
    "Cumulative layout shift of page views by people.",
    "score",
    (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0),
)
BROWSER_FCP = _browser(
    "browser_fcp_seconds",
    "First contentful paint of page views by people.",
    "seconds",
    (0.25, 0.5, 0.75, 1.0, 1.4, 1.8, 2.4, 3.0, 5.0, 10.0),
)
BROWSER_TTFB = _browser(
    "browser_ttfb_seconds",
    "Time to the first byte of page views by people, redirects and connecting included.",
    "seconds",
    (0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 1.8, 3.0, 6.0),
)
GRADES: Final[Mapping[str, tuple[float, float]]] = {
    BROWSER_LCP.name: (2.5, 4.0),
    BROWSER_INP.name: (0.2, 0.5),
    BROWSER_CLS.name: (0.1, 0.25),
    BROWSER_FCP.name: (1.8, 3.0),
    BROWSER_TTFB.name: (0.8, 1.8),
}
"""Good up to the first, poor over the second (https://web.dev/articles/vitals)."""

CLIENT_SESSIONS_CRASHED = Metric(
    name="client_sessions_crashed_total",
    kind="counter",
    description="Visits with an error that broke the page.",
    labels=(RELEASE,),
    unit="sessions",
    owner="insight",
    source="ledger",
    shown_on="shop",
)
DELIVERY_DEPLOYMENTS = Metric(
    name="delivery_deployments_total",
    kind="counter",
    description="Roll-outs of code by how they ended.",
    labels=(DEPLOYED, DEPLOY_OUTCOME, DEPLOY_KIND),
    unit="deployments",
    owner="insight",
    source="ledger",
    shown_on="services",
)
LEDGER_LAG = Metric(
    name="ledger_lag_seconds",
    kind="gauge",
    description="Age of the oldest fact of a service that the ledger has not booked yet.",
    labels=(FACT_SOURCE,),
    unit="seconds",
    owner="insight",
    source="ledger",
    shown_on="services",
)
LEDGER_RESTATED = Metric(
    name="ledger_restated_total",
    kind="counter",
    description="How far a number moved after it had been counted, in the number's own unit: what a"
    " report shows is the counter, plus what went up, less what went down.",
    labels=(RESTATED_METRIC, RESTATED_DIRECTION, RESTATED_REASON),
    unit="units",
    owner="insight",
    source="ledger",
    shown_on="services",
)
INSIGHT_FACTS = Metric(
    name="insight_facts_total",
    kind="counter",
    description="Facts read from the services' outboxes by what became of them.",
    labels=(SERVICE, FACT_SOURCE, FACT_RESULT),
    unit="facts",
    owner="insight",
    shown_on="services",
)
INSIGHT_BEACONS = Metric(
    name="insight_beacons_total",
    kind="counter",
    description="Beacons of browsers by what became of them.",
    labels=(SERVICE, BEACON_RESULT),
    unit="beacons",
    owner="insight",
    shown_on="services",
)

METRICS = (
    SHOP_SESSIONS,
    SHOP_SESSIONS_CONVERTED,
    SHOP_SESSIONS_ENGAGED,
    SHOP_FUNNEL_STEPS,
    SHOP_CHECKOUTS_STARTED,
    SHOP_CHECKOUTS_ENDED,
    SHOP_ORDERS,
    SHOP_ORDER_VALUE,
    SHOP_ORDER_VALUE_LOST,
    SHOP_ORDER_DURATION,
    SHOP_CONFIRMATION_DURATION,
    SHOP_ADVICE,
    SHOP_ADVICE_STEPS,
    SHOP_ORDERS_CANCELLED,
    SHOP_ORDERS_RETURNED,
    SHOP_CAMPAIGN_ORDERS,
    SHOP_CSAT_RESPONSES,
    SHOP_NPS_RESPONSES,
    BROWSER_LCP,
    BROWSER_INP,
    BROWSER_CLS,
    BROWSER_FCP,
    BROWSER_TTFB,
    CLIENT_SESSIONS_CRASHED,
    DELIVERY_DEPLOYMENTS,
    LEDGER_LAG,
    LEDGER_RESTATED,
    INSIGHT_FACTS,
    INSIGHT_BEACONS,
)
