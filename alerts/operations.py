"""Alerts on causes that shoppers or the ledger feel at once, and on telemetry itself."""

from alerts.rules import Alert, Group, RuleFile
from alerts.timing import HOUR, MINUTE, Timing, spoken
from telemetry.catalogue import promql
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
from telemetry.catalogue.insight import INSIGHT_FACTS, LEDGER_LAG
from telemetry.catalogue.labels import SERVICES
from telemetry.catalogue.limits import (
    FEED_AGE_SECONDS,
    LEDGER_LAG_SECONDS,
    OUTBOX_LAG_SECONDS,
    PAYMENT_CALL_SLOW_SECONDS,
    SHED_RATIO,
    WORK_DUE_SECONDS,
)
from telemetry.catalogue.outcomes import BUDGET_SPENDING
from telemetry.catalogue.spec import Matcher, Selection

# The practice provider is switched off in production, where its silence is right.
ALWAYS_THERE = tuple(service for service in SERVICES if service != "sandbox")

PAYMENT_BAD_RATIO = 0.05
PAYMENT_BAD_CALLS = 3
SHED_REQUESTS = 20


def rule_files(timing: Timing) -> tuple[RuleFile, ...]:
    return (
        RuleFile("payments", (Group("payments", (payment_provider_failing(timing),)),)),
        RuleFile("money", (Group("money", money(timing)),)),
        RuleFile("integrity", (Group("integrity", (INVARIANT_VIOLATED,)),)),
        RuleFile(
            "flow",
            (
                Group(
                    "flow",
                    (
                        ledger_behind(timing),
                        OUTBOX_STUCK,
                        FACTS_SET_ASIDE,
                        HISTORY_PARTED,
                        STOCK_FEED_STALE,
                    ),
                ),
            ),
        ),
        RuleFile("overload", (Group("overload", (overload_shedding(timing),)),)),
        RuleFile("telemetry", (Group("telemetry", (*TELEMETRY_MISSING, WATCHDOG)),)),
    )


def payment_provider_failing(timing: Timing) -> Alert:
    """Of the calls to a provider, too many failed or were too slow to wait for."""
    nominal = 2 * MINUTE
    window = timing.window(nominal)
    by = ("service", "provider")
    calls = promql.rate(CHECKOUT_PAYMENT_DURATION, window=window, by=by)
    answered = Selection(
        CHECKOUT_PAYMENT_DURATION,
        (Matcher("outcome", "!~", "|".join(BUDGET_SPENDING)),),
        at_most=PAYMENT_CALL_SLOW_SECONDS,
    )
    bad = f"({calls} - ({promql.selected(answered, window, by=by)} or 0 * {calls}))"
    return Alert(
        name="PaymentProviderFailing",
        expr=(
            f"{bad} / ({calls} > 0) > {PAYMENT_BAD_RATIO:g}\n"
            f"and\n{bad} * {timing.seconds(nominal)} >= {PAYMENT_BAD_CALLS}"
        ),
        severity="page",
        service="checkout",
        hold_seconds=MINUTE // 2,
        summary="Payments through {{ $labels.provider }} fail or hang.",
        description=(
            "{{ $value | humanizePercentage }} of the calls to {{ $labels.provider }} failed or"
            f" took over {PAYMENT_CALL_SLOW_SECONDS:g} s in the last {spoken(nominal)}."
            " Shoppers with a car on hold cannot pay for it."
        ),
    )


def money(timing: Timing) -> tuple[Alert, ...]:
    """Money that moved without us, that nobody ordered, or that does not go back."""
    window = timing.window(HOUR)
    moved = promql.increase(CHECKOUT_MONEY_MOVED, window=window, by=("service", "provider", "move"))
    orphans = promql.increase(
        CHECKOUT_WEBHOOKS, window=window, by=("service", "provider"), result="unknown_order"
    )
    oldest = promql.value(CHECKOUT_WORK_DUE, by=("service", "work"), aggregate="max")
    refused = promql.value(CHECKOUT_REFUNDS_REFUSED, by=("service",), aggregate="max")
    return (
        Alert(
            name="MoneyMovedOutside",
            expr=f"{moved} > 0",
            severity="ticket",
            service="checkout",
            summary="Money of an order moved at {{ $labels.provider }}: {{ $labels.move }}.",
            description=(
                "Somebody refunded a deposit by hand, a refund failed, or a shopper's bank disputes"
                " a payment. The order has followed its money; somebody should know why."
            ),
        ),
        Alert(
            name="MoneyWithoutOrder",
            expr=f"{orphans} > 0",
            severity="page",
            service="checkout",
            summary="{{ $labels.provider }} tells of money for an order that we do not have.",
            description=(
                "A payment carries our order's reference and checkout's database has no such order:"
                " it was restored to an earlier moment, or two shops share one account and secret."
                " Somebody paid for nothing."
            ),
        ),
        Alert(
            name="WorkOverdue",
            expr=f"{oldest} > {WORK_DUE_SECONDS}",
            severity="page",
            service="checkout",
            hold_seconds=MINUTE,
            summary="{{ $labels.work }} has waited for {{ $value | humanizeDuration }}.",
            description=(
                "The oldest item of this work list has been due or failing for over"
                f" {spoken(WORK_DUE_SECONDS)}: money that does not go back, payments that nobody"
                " asks about, cars that stay kept."
            ),
        ),
        Alert(
            name="RefundRefused",
            expr=f"{refused} > 0",
            severity="ticket",
            service="checkout",
            hold_seconds=MINUTE,
            summary="{{ $value }} refunds were refused and wait for a person.",
            description=(
                "The provider refused to give money back, or a refund failed after it was told."
                " It is not tried again before somebody has decided about it."
            ),
        ),
    )


INVARIANT_VIOLATED = Alert(
    name="InvariantViolated",
    expr=promql.value(CHECKOUT_INVARIANT_VIOLATIONS, by=("service", "invariant"), aggregate="max")
    + " > 0",
    severity="page",
    service="checkout",
    summary="{{ $labels.invariant }} does not hold: {{ $value }} rows break it.",
    description=(
        "Something that must always be true of checkout's own data is not: a car sold twice, money"
        " without an order, or an order without money. It does not heal by itself."
    ),
)


def ledger_behind(timing: Timing) -> Alert:
    """The ledger is late, or stands still while checkout confirms orders."""
    window = timing.window(10 * MINUTE)
    lag = promql.value(LEDGER_LAG, by=("source",), aggregate="max")
    confirmed = promql.increase(CHECKOUT_PAYMENT_SUBMISSIONS, window=window, outcome="ok")
    booked = promql.increase(INSIGHT_FACTS, window=window, source="checkout", result="stored")
    stuck = f"({confirmed} > 0 unless ({booked} > 0))"
    return Alert(
        name="LedgerBehind",
        expr=(
            f"{lag} > {LEDGER_LAG_SECONDS}\n"
            # A lag that a dead reader exports stays as it was, so progress is checked as well.
            f'or\nlabel_replace({stuck}, "source", "checkout", "", "")'
        ),
        severity="ticket",
        service="insight",
        hold_seconds=2 * MINUTE,
        summary="Business numbers are late: facts of {{ $labels.source }} are not booked.",
        description=(
            f"The ledger has been over {LEDGER_LAG_SECONDS} s behind {{{{ $labels.source }}}}, or"
            " has booked nothing of it while orders were confirmed. Conversion, orders and value on"
            " all boards are too low until it catches up; nothing is lost."
        ),
    )


OUTBOX_STUCK = Alert(
    name="OutboxStuck",
    expr=promql.value(OUTBOX_LAG, by=("service",), aggregate="max") + f" > {OUTBOX_LAG_SECONDS}",
    severity="page",
    service=None,
    team="platform",
    hold_seconds=3 * MINUTE,
    summary="Facts of {{ $labels.service }} have waited {{ $value | humanizeDuration }} unread.",
    description=(
        "A registered consumer does not read this outbox. Held and sold cars stay visible to other"
        " shoppers, who are then told that the car is gone, and the ledger stands still."
    ),
)
FACTS_SET_ASIDE = Alert(
    name="FactsSetAside",
    expr=promql.value(CONSUMER_EVENTS_UNDIGESTED, by=("service", "source"), aggregate="max")
    + " > 0",
    severity="page",
    service=None,
    team="platform",
    hold_seconds=2 * MINUTE,
    summary="{{ $labels.service }} cannot digest {{ $value }} facts of {{ $labels.source }}.",
    description=(
        "They are set aside and tried again, less and less often. Until a version runs that can"
        " digest them, these cars are sold at an old price or not at all, or the ledger's numbers"
        " are too low by these facts. All other facts go on."
    ),
)
HISTORY_PARTED = Alert(
    name="HistoryParted",
    expr=promql.value(CONSUMER_PARTED, by=("service", "source"), aggregate="max") + " > 0",
    severity="page",
    service=None,
    team="platform",
    hold_seconds=0,
    summary="{{ $labels.service }} has read another history than {{ $labels.source }} has.",
    description=(
        "One of their databases was restored from a backup. The consumer reads nothing until"
        " somebody has seen to what was lost and says so: numbers stand still, sold cars are hidden"
        " as before, and what is sold from now on is not hidden yet."
    ),
)
STOCK_FEED_STALE = Alert(
    name="StockFeedStale",
    expr=(
        f"time() - {promql.value(STOCK_IMPORT_LAST_SUCCESS, by=('source',), aggregate='max')}"
        f" > {FEED_AGE_SECONDS:g}"
    ),
    severity="ticket",
    service="catalog",
    hold_seconds=5 * MINUTE,
    summary="Stock feed {{ $labels.source }} is {{ $value | humanizeDuration }} old.",
    description=(
        f"No import of this feed has succeeded for over {spoken(FEED_AGE_SECONDS)}. Prices and"
        " stock of its dealers age; sold cars of theirs may still be offered."
    ),
)


def overload_shedding(timing: Timing) -> Alert:
    """A service turns work away, which protects those who pay and loses the others."""
    window = timing.window(5 * MINUTE)
    shed = promql.increase(OVERLOAD_SHED, window=window, by=("service",))
    asked = promql.increase(HTTP_SERVER_REQUEST_DURATION, window=window, by=("service",))
    return Alert(
        name="OverloadShedding",
        expr=(f"{shed} / ({asked} > 0) > {SHED_RATIO:g}\nand\n{shed} >= {SHED_REQUESTS}"),
        severity="ticket",
        service=None,
        team="platform",
        hold_seconds=2 * MINUTE,
        summary="{{ $labels.service }} turns requests away.",
        description=(
            "{{ $value | humanizePercentage }} of the requests to {{ $labels.service }} were"
            " refused because it was full. Robots and beacons go first, then browsing, then advice;"
            " buying goes last."
        ),
    )


_absent_services = "\nor\n".join(
    f"absent({promql.selector(APP_INFO, service=service)})" for service in ALWAYS_THERE
)
TELEMETRY_MISSING = (
    Alert(
        name="TelemetryMissing",
        expr=_absent_services,
        severity="page",
        service=None,
        team="platform",
        hold_seconds=2 * MINUTE,
        summary="{{ $labels.service }} has gone dark: it exports no metrics.",
        description=(
            "No replica of this service has been scraped for two minutes. It is down, or we are"
            " blind; every other alert about it is silent meanwhile."
        ),
    ),
    Alert(
        name="TelemetryMissing",
        expr="up == 0",
        severity="ticket",
        service="platform",
        hold_seconds=5 * MINUTE,
        summary="{{ $labels.instance }} of {{ $labels.job }} does not answer Prometheus.",
        description="One scrape target has been unreachable for five minutes.",
    ),
    Alert(
        name="TelemetryMissing",
        expr=f"absent({promql.selector(LEDGER_LAG, source='checkout')})",
        severity="ticket",
        service="insight",
        hold_seconds=5 * MINUTE,
        board="storefront",
        summary="The ledger exports nothing, so business numbers are missing.",
        description="insight is scraped, but its ledger's metrics are not there.",
    ),
)
WATCHDOG = Alert(
    name="Watchdog",
    expr="vector(1)",
    severity="none",
    service="platform",
    summary="Alerting works.",
    description=(
        "Always fires. Whoever receives it alarms when it stops coming: then Prometheus,"
        " Alertmanager or the way between them is broken."
    ),
)
