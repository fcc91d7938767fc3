"""The promises to shoppers, as data. Burn-rate rules, panels and load verdicts are built from this.

Latency promises count a failed answer as bad however quickly it failed, so that a service cannot
look fast by refusing everybody.
"""

from telemetry.catalogue.catalog import STOCK_IMPORT_LAST_SUCCESS
from telemetry.catalogue.checkout import CHECKOUT_HOLD_ATTEMPTS, CHECKOUT_PAYMENT_SUBMISSIONS
from telemetry.catalogue.http import HTTP_SERVER_REQUEST_DURATION
from telemetry.catalogue.insight import BROWSER_LCP, SHOP_CONFIRMATION_DURATION
from telemetry.catalogue.limits import FEED_AGE_SECONDS
from telemetry.catalogue.outcomes import BLAMELESS, BUDGET_SPENDING, Outcome
from telemetry.catalogue.spec import SLO, Matcher, Metric, Selection

_NOT_OUR_FAILURE = Matcher("outcome", "!~", "|".join(BUDGET_SPENDING))
# An event that the caller spoilt says nothing about us; `ok` does, so it stays in the total.
_SPOILT_BY_CALLER = Matcher("outcome", "!~", "|".join(o for o in BLAMELESS if o != Outcome.OK))
_PAGES_ONLY = Matcher("http_route", "!~", "/static.*|/assets.*|/health.*|unmatched")

HOLD_ROUTE = "/api/checkout/v1/holds"
ORDER_ROUTE = "/api/checkout/v1/orders"
SEARCH_ROUTE = "/api/catalog/v1/cars"
MATCH_ROUTE = "/api/advisor/v1/matches"


def _answers(*matchers: Matcher) -> Selection:
    return Selection(HTTP_SERVER_REQUEST_DURATION, matchers)


def _good_answers(*matchers: Matcher, at_most: float | None = None) -> Selection:
    return Selection(HTTP_SERVER_REQUEST_DURATION, (*matchers, _NOT_OUR_FAILURE), at_most)


def _route(service: str, method: str, *routes: str) -> tuple[Matcher, ...]:
    return (
        Matcher("service", "=", service),
        Matcher("http_request_method", "=", method),
        Matcher("http_route", "=~", "|".join(routes))
        if len(routes) > 1
        else Matcher("http_route", "=", routes[0]),
    )


def _counted_by_outcome(metric: Metric) -> tuple[Selection, Selection]:
    """Good and total of a counter of attempts; sold out is a success for the shop."""
    happy = Matcher("outcome", "=~", "ok|sold_out")
    total = Matcher("outcome", "!~", "refused|invalid|conflict")
    return Selection(metric, (happy,)), Selection(metric, (total,))


_PAGE = (
    Matcher("service", "=", "storefront"),
    Matcher("http_request_method", "=", "GET"),
    _PAGES_ONLY,
)
_BUY = _route("checkout", "POST", HOLD_ROUTE, ORDER_ROUTE)
_SEARCH = _route("catalog", "GET", SEARCH_ROUTE)
_MATCH = _route("advisor", "POST", MATCH_ROUTE)
_hold_good, _hold_total = _counted_by_outcome(CHECKOUT_HOLD_ATTEMPTS)

ORDER_SUCCESS = SLO(
    name="order_success",
    title="Order success",
    description=(
        "Of the payments that the shopper's bank did not decline, 99.9 % end in a confirmed order."
    ),
    owner="checkout",
    objective=0.999,
    good=Selection(CHECKOUT_PAYMENT_SUBMISSIONS, (Matcher("outcome", "=", "ok"),)),
    total=Selection(CHECKOUT_PAYMENT_SUBMISSIONS, (_SPOILT_BY_CALLER,)),
    routes=(ORDER_ROUTE,),
)
HOLD_SUCCESS = SLO(
    name="hold_success",
    title="Hold success",
    description="99.9 % of attempts to hold a car get a clear answer: yours, or somebody's.",
    owner="checkout",
    objective=0.999,
    good=_hold_good,
    total=_hold_total,
    routes=(HOLD_ROUTE,),
)
PAGE_LATENCY = SLO(
    name="page_latency",
    title="Page latency",
    description="95 % of pages are sent completely and without failure within one second.",
    owner="storefront",
    objective=0.95,
    good=_good_answers(*_PAGE, at_most=1.0),
    total=_answers(*_PAGE),
    threshold_seconds=1.0,
)
CHECKOUT_LATENCY = SLO(
    name="checkout_latency",
    title="Checkout latency",
    description="95 % of holds and orders are answered without failure within one second.",
    owner="checkout",
    objective=0.95,
    good=_good_answers(*_BUY, at_most=1.0),
    total=_answers(*_BUY),
    threshold_seconds=1.0,
    routes=(HOLD_ROUTE, ORDER_ROUTE),
)
SEARCH_SUCCESS = SLO(
    name="search_success",
    title="Search success",
    description="99.5 % of searches for cars are answered without failure.",
    owner="catalog",
    objective=0.995,
    good=_good_answers(*_SEARCH),
    total=_answers(*_SEARCH),
    routes=(SEARCH_ROUTE,),
)
SEARCH_LATENCY = SLO(
    name="search_latency",
    title="Search latency",
    description="95 % of searches for cars are answered without failure within half a second.",
    owner="catalog",
    objective=0.95,
    good=_good_answers(*_SEARCH, at_most=0.5),
    total=_answers(*_SEARCH),
    threshold_seconds=0.5,
    routes=(SEARCH_ROUTE,),
    pages=False,
)
ADVICE_SUCCESS = SLO(
    name="advice_success",
    title="Advice success",
    description="99.5 % of requests for advice are answered without failure.",
    owner="advisor",
    objective=0.995,
    good=_good_answers(*_MATCH),
    total=_answers(*_MATCH),
    routes=(MATCH_ROUTE,),
)
ADVICE_LATENCY = SLO(
    name="advice_latency",
    title="Advice latency",
    description="95 % of requests for advice are answered without failure within half a second.",
    owner="advisor",
    objective=0.95,
    good=_good_answers(*_MATCH, at_most=0.5),
    total=_answers(*_MATCH),
    threshold_seconds=0.5,
    routes=(MATCH_ROUTE,),
    pages=False,
)
CONFIRMATION_TIME = SLO(
    name="confirmation_time",
    title="Confirmation time",
    description="99.9 % of accepted payments are confirmed orders within one minute.",
    owner="checkout",
    objective=0.999,
    good=Selection(SHOP_CONFIRMATION_DURATION, at_most=60.0),
    total=Selection(SHOP_CONFIRMATION_DURATION),
    threshold_seconds=60.0,
)
PAINT_TIME = SLO(
    name="paint_time",
    title="Largest paint",
    description="75 % of page views paint their largest element within 2.5 seconds.",
    owner="storefront",
    objective=0.75,
    good=Selection(BROWSER_LCP, at_most=2.5),
    total=Selection(BROWSER_LCP),
    threshold_seconds=2.5,
    pages=False,
)
FEED_FRESHNESS = SLO(
    name="feed_freshness",
    title="Feed freshness",
    description="99 % of the time each stock feed was imported within the last half hour.",
    owner="catalog",
    objective=0.99,
    fresh=STOCK_IMPORT_LAST_SUCCESS,
    threshold_seconds=FEED_AGE_SECONDS,
    pages=False,
)

SLOS = (
    ORDER_SUCCESS,
    HOLD_SUCCESS,
    PAGE_LATENCY,
    CHECKOUT_LATENCY,
    SEARCH_SUCCESS,
    SEARCH_LATENCY,
    ADVICE_SUCCESS,
    ADVICE_LATENCY,
    CONFIRMATION_TIME,
    PAINT_TIME,
    FEED_FRESHNESS,
)
