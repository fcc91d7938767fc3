"""Cases of the rules that are written by hand."""

from collections.abc import Iterable

from alerts.cases import Case, Series, climbing, samples, series, steady
from alerts.operations import ALWAYS_THERE
from alerts.timing import DAY, HOUR, MINUTE, WEEK
from telemetry.catalogue.catalog import STOCK_IMPORT_LAST_SUCCESS
from telemetry.catalogue.checkout import (
    CHECKOUT_INVARIANT_VIOLATIONS,
    CHECKOUT_MONEY_MOVED,
    CHECKOUT_PAYMENT_DURATION,
    CHECKOUT_PAYMENT_SUBMISSIONS,
    CHECKOUT_REFUNDS_REFUSED,
    CHECKOUT_WEBHOOKS,
    CHECKOUT_WORK_DUE,
)
from telemetry.catalogue.frame import (
    APP_INFO,
    CONSUMER_EVENTS_UNDIGESTED,
    CONSUMER_PARTED,
    OUTBOX_LAG,
    OVERLOAD_SHED,
)
from telemetry.catalogue.http import HTTP_SERVER_REQUEST_DURATION
from telemetry.catalogue.insight import INSIGHT_FACTS, LEDGER_LAG, SHOP_ORDERS, SHOP_SESSIONS
from telemetry.catalogue.spec import Metric

CHECKOUT = {"service": "checkout", "team": "selling"}


def operations_cases() -> dict[str, tuple[Case, ...]]:
    """The cases of every hand-written rule file, by the file's name."""
    return {
        "business": tuple(_no_orders()),
        "payments": tuple(_payments()),
        "money": tuple(_money()),
        "integrity": tuple(_integrity()),
        "flow": (*_ledger(), *_outbox(), *_set_aside(), *_parted(), *_feeds()),
        "overload": tuple(_overload()),
        "telemetry": (*_telemetry(), *_watchdog()),
    }


def _visits(phases: list[tuple[int, float, float]], step: int, traffic: str) -> tuple[Series, ...]:
    """Visits and orders per hour over phases of seconds."""
    share = step / HOUR
    visits = [(samples(seconds, step), per_hour * share) for seconds, per_hour, _ in phases]
    orders = [(samples(seconds, step), per_hour * share) for seconds, _, per_hour in phases]
    return (
        series(SHOP_SESSIONS, climbing(visits), traffic=traffic),
        series(SHOP_ORDERS, climbing(orders), traffic=traffic),
    )


def _no_orders() -> Iterable[Case]:
    def case(
        name: str,
        phases: list[tuple[int, float, float]],
        *,
        fires: bool,
        traffic: str = "human",
        step: int = 5 * MINUTE,
    ) -> Case:
        return Case(
            name=f"no orders: {name}",
            alert="NoOrders",
            severity="page",
            series=_visits(phases, step, traffic),
            at_seconds=sum(seconds for seconds, _, _ in phases),
            firing=({**CHECKOUT, "traffic": traffic},) if fires else (),
            step_seconds=step,
        )

    yield case(
        "young shop, visits for nine orders at the floor conversion",
        [(2 * HOUR, 1800, 0)],
        fires=True,
    )
    yield case(
        "young shop, visits for five orders at the floor conversion",
        [(2 * HOUR, 1000, 0)],
        fires=False,
    )
    yield case(
        "yesterday sold one in fifty, today nine are missing",
        [(DAY, 450, 9), (65 * MINUTE, 450, 0)],
        fires=True,
    )
    yield case(
        "yesterday sold one in fifty, today five are missing",
        [(DAY, 250, 5), (65 * MINUTE, 250, 0)],
        fires=False,
    )
    yield case("one order is enough", [(DAY, 450, 9), (65 * MINUTE, 450, 1)], fires=False)
    yield case(
        "a rehearsal obeys the same rule",
        [(DAY, 60, 12), (65 * MINUTE, 60, 0)],
        fires=True,
        traffic="synthetic",
    )
    yield case("robots buy nothing", [(2 * HOUR, 60_000, 0)], fires=False, traffic="bot")
    # Yesterday and today as in the case above that fires; a week ago knows better.
    quiet_hour: list[tuple[int, float, float]] = [
        (WEEK, 450, 3),
        (DAY, 450, 9),
        (65 * MINUTE, 450, 0),
    ]
    yield case("this hour of the week is always slow", quiet_hour, fires=False, step=10 * MINUTE)


def _payments() -> Iterable[Case]:
    def case(
        name: str,
        *,
        good: float,
        slow: float,
        failed: float,
        fires: bool,
        provider: str = "sandbox",
    ) -> Case:
        """Calls per minute for five minutes."""

        def calls(per_minute: float) -> str:
            return climbing([(10, per_minute / 2)])

        answered = {"service": "checkout", "provider": provider, "outcome": "ok"}
        broken = {**answered, "outcome": "unavailable"}
        metric = CHECKOUT_PAYMENT_DURATION
        return Case(
            name=f"payments: {name}",
            alert="PaymentProviderFailing",
            severity="page",
            series=(
                series(metric, calls(good), answered, suffix="_bucket", at_most=2.5),
                series(metric, calls(good + slow), answered, suffix="_count"),
                series(metric, calls(failed), broken, suffix="_bucket", at_most=2.5),
                series(metric, calls(failed), broken, suffix="_count"),
            ),
            at_seconds=5 * MINUTE,
            firing=({**CHECKOUT, "provider": provider},) if fires else (),
            step_seconds=MINUTE // 2,
        )

    yield case("8 in a hundred calls fail", good=92, slow=0, failed=8, fires=True)
    yield case("8 in a hundred calls are slow", good=92, slow=8, failed=0, fires=True)
    yield case("3 in a hundred calls fail", good=97, slow=0, failed=3, fires=False)
    yield case("one lonely call in two minutes fails", good=0, slow=0, failed=0.5, fires=False)
    yield case("nobody can pay", good=0, slow=0, failed=3, fires=True, provider="stripe")


def _money() -> Iterable[Case]:
    counted: tuple[tuple[str, str, Metric, dict[str, str], dict[str, str]], ...] = (
        (
            "MoneyMovedOutside",
            "ticket",
            CHECKOUT_MONEY_MOVED,
            {"provider": "stripe", "move": "disputed"},
            {"provider": "stripe", "move": "disputed"},
        ),
        (
            "MoneyWithoutOrder",
            "page",
            CHECKOUT_WEBHOOKS,
            {"provider": "stripe", "result": "unknown_order"},
            {"provider": "stripe"},
        ),
    )
    for alert, severity, metric, labels, told in counted:
        for name, times, fires in (("once in the hour", 1.0, True), ("not", 0.0, False)):
            yield Case(
                name=f"money: {alert} happened {name}",
                alert=alert,
                severity=severity,
                series=(
                    series(
                        metric,
                        climbing([(10, 0), (1, times), (10, 0)]),
                        {"service": "checkout", **labels},
                    ),
                ),
                at_seconds=20 * MINUTE,
                firing=({**CHECKOUT, **told},) if fires else (),
            )
    for seconds, fires in ((3 * HOUR, True), (HOUR // 2, False)):
        yield Case(
            name=f"money: the oldest refund has waited {seconds} s",
            alert="WorkOverdue",
            severity="page",
            series=(
                series(CHECKOUT_WORK_DUE, steady(seconds, 10), service="checkout", work="refunds"),
            ),
            at_seconds=5 * MINUTE,
            firing=({**CHECKOUT, "work": "refunds"},) if fires else (),
        )
    for count, fires in ((2, True), (0, False)):
        yield Case(
            name=f"money: {count} refunds were refused",
            alert="RefundRefused",
            severity="ticket",
            series=(series(CHECKOUT_REFUNDS_REFUSED, steady(count, 10), service="checkout"),),
            at_seconds=5 * MINUTE,
            firing=(CHECKOUT,) if fires else (),
        )


def _integrity() -> Iterable[Case]:
    for name, rows, fires in (("one row breaks a rule", 1, True), ("all rules hold", 0, False)):
        broken = {**CHECKOUT, "invariant": "one_order_per_car"}
        yield Case(
            name=f"integrity: {name}",
            alert="InvariantViolated",
            severity="page",
            series=(
                series(
                    CHECKOUT_INVARIANT_VIOLATIONS,
                    steady(rows, 5),
                    service="checkout",
                    invariant="one_order_per_car",
                ),
            ),
            at_seconds=MINUTE,
            firing=(broken,) if fires else (),
        )


def _ledger() -> Iterable[Case]:
    def case(name: str, *, lag: float, confirmed: float, booked: float, fires: bool) -> Case:
        return Case(
            name=f"ledger: {name}",
            alert="LedgerBehind",
            severity="ticket",
            series=(
                series(LEDGER_LAG, steady(lag, 30), source="checkout"),
                series(
                    CHECKOUT_PAYMENT_SUBMISSIONS,
                    climbing([(30, confirmed)]),
                    service="checkout",
                    outcome="ok",
                ),
                series(
                    INSIGHT_FACTS,
                    climbing([(30, booked)]),
                    service="insight",
                    source="checkout",
                    result="stored",
                ),
            ),
            at_seconds=20 * MINUTE,
            firing=({"service": "insight", "team": "insight", "source": "checkout"},)
            if fires
            else (),
        )

    yield case("80 s behind", lag=80, confirmed=3, booked=3, fires=True)
    yield case("40 s behind", lag=40, confirmed=3, booked=3, fires=False)
    yield case("stands still while cars are sold", lag=0, confirmed=3, booked=0, fires=True)
    yield case("nothing to book", lag=0, confirmed=0, booked=0, fires=False)


def _outbox() -> Iterable[Case]:
    for lag, fires in ((150, True), (80, False)):
        yield Case(
            name=f"outbox: the oldest fact has waited {lag} s",
            alert="OutboxStuck",
            severity="page",
            series=(series(OUTBOX_LAG, steady(lag, 20), service="checkout"),),
            at_seconds=10 * MINUTE,
            firing=({"service": "checkout", "team": "platform"},) if fires else (),
        )


def _set_aside() -> Iterable[Case]:
    for count, fires in ((1, True), (0, False)):
        yield Case(
            name=f"set aside: {count} facts wait",
            alert="FactsSetAside",
            severity="page",
            series=(
                series(
                    CONSUMER_EVENTS_UNDIGESTED,
                    steady(count, 20),
                    service="checkout",
                    source="catalog",
                ),
            ),
            at_seconds=10 * MINUTE,
            firing=({"service": "checkout", "source": "catalog", "team": "platform"},)
            if fires
            else (),
        )


def _parted() -> Iterable[Case]:
    for parted, fires in ((1, True), (0, False)):
        yield Case(
            name=f"parted: {'another' if parted else 'the same'} history",
            alert="HistoryParted",
            severity="page",
            series=(
                series(CONSUMER_PARTED, steady(parted, 5), service="insight", source="checkout"),
            ),
            at_seconds=2 * MINUTE,
            firing=({"service": "insight", "source": "checkout", "team": "platform"},)
            if fires
            else (),
        )


def _feeds() -> Iterable[Case]:
    for minutes, fires in ((40, True), (24, False)):
        yield Case(
            name=f"feed: no import for {minutes} minutes",
            alert="StockFeedStale",
            severity="ticket",
            series=(
                series(STOCK_IMPORT_LAST_SUCCESS, steady(0, 60), service="catalog", source="range"),
            ),
            at_seconds=minutes * MINUTE,
            firing=({"service": "catalog", "team": "discovery", "source": "range"},)
            if fires
            else (),
        )


def _overload() -> Iterable[Case]:
    for name, asked, shed, fires in (
        ("2 in a hundred are turned away", 1000, 20, True),
        ("6 in a thousand are turned away", 1000, 6, False),
        ("half of hardly anything is turned away", 4, 2, False),
    ):
        yield Case(
            name=f"overload: {name}",
            alert="OverloadShedding",
            severity="ticket",
            series=(
                series(
                    HTTP_SERVER_REQUEST_DURATION,
                    climbing([(20, asked)]),
                    suffix="_count",
                    service="catalog",
                ),
                series(OVERLOAD_SHED, climbing([(20, shed)]), service="catalog", priority="browse"),
            ),
            at_seconds=10 * MINUTE,
            firing=({"service": "catalog", "team": "platform"},) if fires else (),
        )


def _telemetry() -> Iterable[Case]:
    def case(
        name: str,
        severity: str,
        firing: tuple[dict[str, str], ...],
        *,
        dark: str = "",
        up: int = 1,
        ledger: bool = True,
    ) -> Case:
        services = [s for s in ALWAYS_THERE if s != dark]
        lag = (series(LEDGER_LAG, steady(0, 20), source="checkout"),) if ledger else ()
        return Case(
            name=f"telemetry: {name}",
            alert="TelemetryMissing",
            severity=severity,
            series=(
                *(series(APP_INFO, steady(1, 20), service=service) for service in services),
                Series('up{job="vitrine", instance="one"}', steady(up, 20)),
                *lag,
            ),
            at_seconds=10 * MINUTE,
            firing=firing,
        )

    yield case("all services are there", "page", ())
    yield case("all targets and the ledger are there", "ticket", ())
    for service in ALWAYS_THERE:
        yield case(
            f"{service} has gone dark",
            "page",
            ({"service": service, "team": "platform"},),
            dark=service,
        )
    target = {"service": "platform", "team": "platform", "job": "vitrine", "instance": "one"}
    yield case("a target is down", "ticket", (target,), up=0)
    ledger = {"service": "insight", "team": "insight", "source": "checkout"}
    yield case("the ledger exports nothing", "ticket", (ledger,), ledger=False)


def _watchdog() -> Iterable[Case]:
    yield Case(
        name="watchdog: always",
        alert="Watchdog",
        severity="none",
        series=(),
        at_seconds=MINUTE,
        firing=({"service": "platform", "team": "platform"},),
    )
    # What can be quiet about a watchdog is the shop: it barks without paging.
    yield Case(
        name="watchdog: never a page",
        alert="Watchdog",
        severity="page",
        series=(),
        at_seconds=MINUTE,
        firing=(),
    )
