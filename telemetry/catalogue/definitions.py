"""What each number of a report means: the one text for the API, the console and docs/metrics.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Report = Literal[
    "funnel",
    "markets",
    "channels",
    "cohorts",
    "customers",
    "experience",
    "satisfaction",
    "advice",
]
SHOPPING: Final[tuple[Report, ...]] = ("funnel", "markets")
BROUGHT: Final[tuple[Report, ...]] = ("funnel", "markets", "channels")
Unit = Literal[
    "visits",
    "views",
    "people",
    "checkouts",
    "orders",
    "ratio",
    "minor units",
    "seconds",
    "answers",
    "points",
]


@dataclass(frozen=True, slots=True)
class Definition:
    """A number of reports: the member that has it, its unit, and a paragraph for its reader."""

    member: str
    title: str
    unit: Unit
    reports: tuple[Report, ...]
    text: str


_VITALS: Final[tuple[tuple[str, str, Unit, str], ...]] = (
    ("LCP", "Largest contentful paint", "seconds", "Until the main thing is seen."),
    ("INP", "Interaction to next paint", "seconds", "Until a page answers to a touch."),
    ("CLS", "Cumulative layout shift", "points", "How far a page jumps about."),
    ("FCP", "First contentful paint", "seconds", "Until anything is seen."),
    ("TTFB", "Time to first byte", "seconds", "Until the server's first byte."),
)

DEFINITIONS: Final[tuple[Definition, ...]] = (
    Definition(
        "sessions",
        "Visits",
        "visits",
        (*BROUGHT, "experience", "advice"),
        "Visits that began in the period. A visit ends after 30 minutes without an act; midnight"
        " and a new campaign end none. A visit counts by when it began and in the segment that it"
        " began with, and so does all that was done in it.",
    ),
    Definition(
        "engaged_sessions",
        "Engaged visits",
        "visits",
        BROUGHT,
        "Visits that were more than a glance: over ten seconds, two page views, or one act that"
        " counts (advice, a hold, an order, an answer). A visit that still goes on may yet become"
        " one.",
    ),
    Definition(
        "converted_sessions",
        "Visits that bought",
        "visits",
        BROUGHT,
        "Visits with at least one confirmed order. Two orders of one visit are one such visit, and"
        " an order through the bare API has none.",
    ),
    Definition(
        "conversion",
        "Conversion",
        "ratio",
        (*BROUGHT, "advice"),
        "Of the visits of the period, the share that bought. Visits are counted, not orders, so it"
        " is never over 1. In the report of the advisor: of the visits that were advised of a"
        " car, the share that ordered one.",
    ),
    Definition(
        "bounce",
        "Bounce",
        "ratio",
        SHOPPING,
        "The share of visits that were not engaged. It settles when the last visit of the period"
        " has ended.",
    ),
    Definition(
        "crash_free_sessions",
        "Crash-free visits",
        "ratio",
        (*SHOPPING, "experience"),
        "The share of visits in which no error broke a page. Only browsers that agreed to be"
        " measured tell of errors; a visit that cannot tell counts as free of them.",
    ),
    Definition(
        "views",
        "Page views",
        "views",
        SHOPPING,
        "Pages that the visits of the period saw. A visit that still goes on counts with one view"
        " until it ends, and no visit has fewer than one.",
    ),
    Definition(
        "visitors",
        "Visitors",
        "people",
        SHOPPING,
        "How many different people the visits were by, of those who agreed to be known again."
        " `sessions` says how many visits those are and `share_of_sessions` which share of all can"
        " be judged so. Somebody who comes in two segments is in both, so the rows add up to more"
        " than the total. `converted_30_days` are those who ordered within 30 days after their"
        " first visit of the period, in whatever segment; it may rise until 30 days have passed.",
    ),
    Definition(
        "steps",
        "Steps of the purchase",
        "visits",
        SHOPPING,
        "How many visits reached each step from the visit to the order. Who reached a step has"
        " passed those before it, so no step is larger than the one before.",
    ),
    Definition(
        "micro_conversion",
        "From step to step",
        "ratio",
        (*SHOPPING, "advice"),
        "Of the visits that reached the step before, the share that reached this one. It moves"
        " long before orders are numerous enough to.",
    ),
    Definition(
        "asked_steps",
        "Steps that were asked for",
        "visits",
        ("funnel",),
        "Visits that did the steps of the question in the order of the question. Of each step a"
        " visit's first moment counts; two steps of one moment are taken in the order in which"
        " they were asked for.",
    ),
    Definition(
        "advice_steps",
        "Steps of the advised purchase",
        "visits",
        (*SHOPPING, "advice"),
        "How many visits asked the advisor, were told of a car that meets all their needs, looked"
        " at a match, and held and ordered a car that the advisor led to.",
    ),
    Definition(
        "advice_micro_conversion",
        "From step to step of advice",
        "ratio",
        SHOPPING,
        "Of the visits that reached the step of advice before, the share that reached this one.",
    ),
    Definition(
        "checkouts",
        "Checkouts",
        "checkouts",
        SHOPPING,
        "Cars that somebody reached for, by how that ended: `ordered`; `sold_out`, another was"
        " faster; `declined`, the payment was refused; `expired`, an order waited unpaid;"
        " `abandoned`, let go without an order; `open`, not ended yet. They add up to `started`.",
    ),
    Definition(
        "abandonment",
        "Abandonment",
        "ratio",
        SHOPPING,
        "One less ordered over started without sold out: of the cars that could have been bought,"
        " the share that was not. A lost race for a unique car is nobody's change of mind and is"
        " left out. Declined and expired payments are within it and shown apart; so are checkouts"
        " that are still open, as long as they are.",
    ),
    Definition(
        "orders",
        "Orders",
        "orders",
        (*BROUGHT, "customers", "cohorts"),
        "Orders that were confirmed in the period, whatever became of them later. They are never"
        " withheld. In the report of customers: those of customers that are known again.",
    ),
    Definition(
        "order_value",
        "Order value",
        "minor units",
        BROUGHT,
        "The full price with VAT of the period's orders, by currency; not the deposit.",
    ),
    Definition(
        "average_order_value",
        "Average order value",
        "minor units",
        SHOPPING,
        "Order value over orders, in each currency by itself.",
    ),
    Definition(
        "median_order_value",
        "Median order value",
        "minor units",
        SHOPPING,
        "The price that half of the orders do not exceed: one that was really paid (of two in the"
        " middle the lower).",
    ),
    Definition(
        "order_value_lost",
        "Order value lost",
        "minor units",
        SHOPPING,
        "Of the period's order value, what was cancelled, returned or paid back since, each order"
        " once, by what happened first. It may grow for as long as cars may come back.",
    ),
    Definition(
        "net_order_value",
        "What the shop keeps",
        "minor units",
        SHOPPING,
        "Order value less what was lost of it.",
    ),
    Definition(
        "order_seconds",
        "Order time",
        "seconds",
        SHOPPING,
        "From submitting the order to its confirmation, the shopper's typing at the provider"
        " included: the time that half (`p50`) and 95 % (`p95`) of `n` orders did not exceed.",
    ),
    Definition(
        "confirmation_seconds",
        "Confirmation time",
        "seconds",
        SHOPPING,
        "From the provider's acceptance of the money to the confirmed order.",
    ),
    Definition(
        "visitors.d7",
        "Retention",
        "ratio",
        ("cohorts",),
        "Of the visitors who came for the first time in a week or month, the share that was back"
        " on any of the days 1 to 7 (`d28`: 28, `d90`: 90) after their first visit, a day being 24"
        " hours from that visit on. A second visit of the first 24 hours is no coming back. `over`"
        " says that the time has passed for the whole cohort. Only who agreed to be known again"
        " is seen. Under five people are withheld.",
    ),
    Definition(
        "visitors.churn",
        "Churn",
        "ratio",
        ("cohorts",),
        "One less the retention of 90 days: the share of a cohort that was not back in 90 days."
        " Told once those have passed.",
    ),
    Definition(
        "orders.return_rate",
        "Return rate",
        "ratio",
        ("cohorts",),
        "Of the cars that were ordered in a week or month and handed over, the share that came"
        " back; `returned_value_share` is the same of their value. A buyer has 14 days:"
        " `may_still_return` cars were handed over less than that ago, so the rate may rise.",
    ),
    Definition(
        "customers",
        "Customers",
        "people",
        ("customers",),
        "Different people with an order in the period, known by what they told at the checkout"
        " and kept under a pseudonym. Who was forgotten still counts as one.",
    ),
    Definition(
        "repeat_buyers",
        "Repeat buyers",
        "people",
        ("customers",),
        "Of all customers ever until the period's end (`customers_ever`), those with two orders or"
        " more.",
    ),
    Definition(
        "repeat_buyer_rate",
        "Repeat-buyer rate",
        "ratio",
        ("customers",),
        "Repeat buyers over customers ever. A car is bought every few years: it rises slowly.",
    ),
    Definition(
        "customers_ever",
        "Customers ever",
        "people",
        ("customers",),
        "Customers with an order until the period's end.",
    ),
    Definition(
        "customers_12_months",
        "Customers of twelve months",
        "people",
        ("customers",),
        "Customers with an order in the 365 days before the period's end.",
    ),
    Definition(
        "returning_customers_12_months",
        "Returning customers",
        "people",
        ("customers",),
        "Of the customers of twelve months, those with two orders or more in that time.",
    ),
    Definition(
        "returning_customer_rate_12_months",
        "Returning-customer rate",
        "ratio",
        ("customers",),
        "Returning customers over customers, of twelve months.",
    ),
    Definition(
        "clv_historic",
        "Customer lifetime value, historic",
        "minor units",
        ("customers",),
        "What a customer has brought until the period's end on average: `revenue` is the price"
        " with VAT of their orders less what was lost of it. `margin` is that times the margin"
        " rate that the operator has set, or says that it is not known. Nothing is forecast.",
    ),
    Definition(
        "clv_12_months",
        "Customer value of twelve months",
        "minor units",
        ("customers",),
        "The same of the orders and customers of the 365 days before the period's end.",
    ),
    *(
        Definition(
            name,
            title,
            unit,
            ("experience",),
            f"{text} `p75` is the value that three quarters of the `n` page views did not exceed,"
            " exact from every measured value and told by kind of page and device; `rating` is"
            " its grade by the published limits, `good` and `poor` count page views. Only browsers"
            " that agreed are measured.",
        )
        for name, title, unit, text in _VITALS
    ),
    Definition(
        "apdex",
        "Apdex",
        "ratio",
        ("experience",),
        "Of the page views whose largest paint was measured: those within 2.5 s and half of those"
        " within 10 s, over all. Failures that no browser measured are not in it.",
    ),
    Definition(
        "csat",
        "Customer satisfaction",
        "ratio",
        ("satisfaction",),
        "Of `n` answers from 1 to 5, the share of 4 and 5, with the 95 % interval (`low`, `high`;"
        " Wilson's, which is sound for few answers). Only who answers is heard: compare it with"
        " itself over time.",
    ),
    Definition(
        "nps",
        "Net promoter score",
        "points",
        ("satisfaction",),
        "Percent of 9 and 10 less percent of 0 to 6 among `n` answers, from -100 to 100, with the"
        " 95 % interval of the normal approximation. Of a few dozen answers the interval is wide;"
        " a difference within it is none.",
    ),
    Definition(
        "results",
        "How advice ended",
        "visits",
        ("advice",),
        "`completed`: told of a car that meets all needs; `no_match`: asked to the end and nothing"
        " did; `abandoned`: never asked to the end. Decided when the visit ends, once per visit.",
    ),
    Definition(
        "completion",
        "Advice completed",
        "ratio",
        ("advice",),
        "Of the visits whose advice has ended, the share that was told of a fitting car.",
    ),
    Definition(
        "no_match",
        "Advice without a match",
        "ratio",
        ("advice",),
        "Of the visits whose advice has ended, the share for which no car was right: demand that"
        " the stock does not meet.",
    ),
)
