"""Visits, orders and money: the rows that marketing reads first."""

from collections.abc import Sequence

from dashboards.panels import Query, Row, bars, graph, listing, number
from dashboards.variables import CHOSEN, MARKET_CHOSEN
from telemetry.catalogue import insight, promql
from telemetry.catalogue.checkout import CHECKOUT_HOLD_ATTEMPTS, CHECKOUT_PAYMENT_SUBMISSIONS
from telemetry.catalogue.labels import CURRENCY_OF_MARKET
from telemetry.catalogue.recorded import ORDERS_1H, ORDERS_EXPECTED
from telemetry.catalogue.spec import Matcher, Metric

HOUR, DAY, RECENT = "1h", "1d", "5m"
MINOR_UNITS = 100


def counted(
    metric: Metric, *more: Matcher, window: str = HOUR, by: Sequence[str] = (), **labels: str
) -> str:
    """Events of the chosen market and traffic over `window`."""
    return promql.increase(metric, *CHOSEN, *more, window=window, by=by, **labels)


def per_minute(metric: Metric, by: Sequence[str] = (), **labels: str) -> str:
    """Events of the chosen market and traffic per minute."""
    return f"60 * {promql.rate(metric, *CHOSEN, window=RECENT, by=by, **labels)}"


def average_order(market: str, currency: str) -> Query:
    """Each market has one currency, so its orders are those of the currency."""
    value = counted(insight.SHOP_ORDER_VALUE, window=DAY, currency=currency)
    orders = counted(insight.SHOP_ORDERS, window=DAY, market=market)
    return Query(promql.ratio(f"{value} / {MINOR_UNITS}", orders), currency)


def share(part: Metric, *matchers: Matcher, by: Sequence[str] = ()) -> str:
    """Of an hour's visits, the share that `part` counts."""
    visits = promql.increase(insight.SHOP_SESSIONS, *matchers, window=HOUR, by=by)
    return promql.ratio(promql.increase(part, *matchers, window=HOUR, by=by), visits)


GLANCE = Row(
    "At a glance",
    (
        number(
            "Orders, last hour",
            "Confirmed orders. A live estimate: exact numbers of a period are in the reports.",
            "none",
            Query(counted(insight.SHOP_ORDERS), "orders"),
            width=4,
            height=5,
            decimals=0,
            runbook="NoOrders",
        ),
        number(
            "Conversion, last hour",
            "Visits with at least one order, divided by visits.",
            "percentunit",
            Query(share(insight.SHOP_SESSIONS_CONVERTED, *CHOSEN), "conversion"),
            width=4,
            height=5,
            decimals=2,
        ),
        number(
            "Order value, last hour",
            "Price of the ordered cars with VAT, per currency.",
            "short",
            Query(
                f"{counted(insight.SHOP_ORDER_VALUE, by=('currency',))} / {MINOR_UNITS}",
                "{{currency}}",
            ),
            width=6,
            height=5,
            decimals=1,
        ),
        number(
            "Average order, last day",
            "Order value divided by orders, per currency; with VAT, the price and not the deposit.",
            "short",
            *(average_order(market, currency) for market, currency in CURRENCY_OF_MARKET.items()),
            width=6,
            height=5,
            decimals=1,
        ),
        number(
            "Visits, last hour",
            "Visits that began.",
            "none",
            Query(counted(insight.SHOP_SESSIONS), "visits"),
            width=4,
            height=5,
            decimals=0,
        ),
    ),
)
FUNNEL = Row(
    "From visit to order",
    (
        bars(
            "Funnel, last hour",
            "Visits that reached each step of the purchase, once per visit and step.",
            "none",
            *(
                Query(counted(insight.SHOP_FUNNEL_STEPS, step=step), step.replace("_", " "))
                for step in insight.FUNNEL_STEPS
            ),
            decimals=0,
        ),
        graph(
            "Conversion: people and rehearsals",
            "Visits with an order, divided by visits, over an hour. Rehearsals buy on purpose.",
            "percentunit",
            Query(
                share(insight.SHOP_SESSIONS_CONVERTED, MARKET_CHOSEN, by=("traffic",)),
                "{{traffic}}",
            ),
            smallest=0.0,
        ),
        graph(
            "Orders against what visits promise",
            "Orders of an hour, and those that its visits should bring. No orders while seven are"
            " expected pages somebody.",
            "none",
            Query(f'{ORDERS_1H.name}{{traffic=~".*"}}', "ordered by {{traffic}}"),
            Query(f'{ORDERS_EXPECTED.name}{{traffic=~".*"}}', "expected of {{traffic}}"),
            smallest=0.0,
            runbook="NoOrders",
        ),
        graph(
            "Engaged visits",
            "Visits over ten seconds, with two views or with a key event; the rest bounced.",
            "percentunit",
            Query(share(insight.SHOP_SESSIONS_ENGAGED, *CHOSEN), "engaged"),
            smallest=0.0,
        ),
        graph(
            "Abandoned checkouts",
            "Checkouts that ended without an order, divided by those that ended. Losing a car to a"
            " faster shopper is not abandoning.",
            "percentunit",
            Query(
                promql.ratio(
                    counted(insight.SHOP_CHECKOUTS_ENDED, result="abandoned"),
                    counted(insight.SHOP_CHECKOUTS_ENDED, Matcher("result", "!=", "sold_out")),
                ),
                "abandoned",
            ),
            smallest=0.0,
        ),
        graph(
            "How checkouts end",
            "Checkouts per minute by their end, and how many start.",
            "none",
            Query(per_minute(insight.SHOP_CHECKOUTS_ENDED, by=("result",)), "{{result}}"),
            Query(per_minute(insight.SHOP_CHECKOUTS_STARTED), "started"),
            smallest=0.0,
        ),
    ),
)
ORDERS = Row(
    "Orders and money",
    (
        graph(
            "Orders per minute",
            "Confirmed orders by country.",
            "none",
            Query(per_minute(insight.SHOP_ORDERS, by=("market",)), "{{market}}"),
            stacked=True,
            smallest=0.0,
        ),
        graph(
            "Order value per minute",
            "Price of the ordered cars with VAT, per currency. Currencies are never added up.",
            "short",
            Query(
                f"{per_minute(insight.SHOP_ORDER_VALUE, by=('currency',))} / {MINOR_UNITS}",
                "{{currency}}",
            ),
            smallest=0.0,
        ),
        graph(
            "Order value lost, last day",
            "Price of orders that were given up, returned or paid back, once per order and per"
            " currency: order value less this is what the shop keeps.",
            "short",
            Query(
                f"{counted(insight.SHOP_ORDER_VALUE_LOST, window=DAY, by=('currency', 'loss'))}"
                f" / {MINOR_UNITS}",
                "{{currency}} {{loss}}",
            ),
            smallest=0.0,
        ),
        graph(
            "Withdrawn and returned",
            "Orders cancelled before handover, and cars returned after it, per day.",
            "none",
            Query(counted(insight.SHOP_ORDERS_CANCELLED, window=DAY), "cancelled"),
            Query(
                counted(insight.SHOP_ORDERS_RETURNED, window=DAY, by=("reason",)),
                "returned: {{reason}}",
            ),
            width=6,
            smallest=0.0,
        ),
        graph(
            "Attempts to hold a car",
            "Per minute, all traffic. Sold out: another shopper was faster, and the shop won.",
            "none",
            Query(f"60 * {promql.rate(CHECKOUT_HOLD_ATTEMPTS, by=('outcome',))}", "{{outcome}}"),
            width=6,
            stacked=True,
            smallest=0.0,
            runbook="HoldSuccessBudgetBurn",
        ),
        graph(
            "Payments by how they ended",
            "Per minute, all traffic. Refused is the shopper's bank; unavailable is the provider;"
            " fault is us. A submission that fails counts once, not with every retry.",
            "none",
            Query(
                f"60 * {promql.rate(CHECKOUT_PAYMENT_SUBMISSIONS, by=('outcome',))}",
                "{{outcome}}",
            ),
            width=6,
            stacked=True,
            smallest=0.0,
            runbook="OrderSuccessBudgetBurn",
        ),
        listing(
            "Orders by campaign, last day",
            "Confirmed orders by the campaign that brought the shopper.",
            "none",
            Query(
                counted(insight.SHOP_CAMPAIGN_ORDERS, window=DAY, by=("campaign",)),
                "{{campaign}}",
            ),
            width=6,
            decimals=0,
        ),
    ),
)
