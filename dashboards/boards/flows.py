"""What flows through the machine: payments, facts, stock and advice."""

from dashboards.panels import Query, Row, Step, graph, number
from telemetry.catalogue import checkout, frame, insight, promql, sandbox
from telemetry.catalogue.advisor import ADVISOR_MATCH_DURATION
from telemetry.catalogue.catalog import STOCK_IMPORT_LAST_SUCCESS, STOCK_IMPORT_ROWS
from telemetry.catalogue.limits import (
    DATABASE_ROOM_BYTES,
    FEED_AGE_SECONDS,
    LEDGER_LAG_SECONDS,
    OUTBOX_LAG_SECONDS,
    PAYMENT_CALL_SLOW_SECONDS,
)
from telemetry.catalogue.slos import FEED_FRESHNESS
from telemetry.catalogue.spec import Matcher

PAYMENT_CALLS = checkout.CHECKOUT_PAYMENT_DURATION

PAYMENTS = Row(
    "Payments",
    (
        graph(
            "Payment provider: time to answer",
            "95th percentile of calls to the provider; over the line a call counts as bad.",
            "s",
            Query(promql.quantile(0.95, PAYMENT_CALLS, by=("provider",)), "{{provider}}"),
            smallest=0.0,
            steps=(Step(PAYMENT_CALL_SLOW_SECONDS, "red"),),
            runbook="PaymentProviderFailing",
        ),
        graph(
            "Payment provider: calls by outcome",
            "Per second. Unavailable is a time-out or an error of the provider.",
            "reqps",
            Query(
                promql.rate(PAYMENT_CALLS, by=("provider", "outcome")), "{{provider}} {{outcome}}"
            ),
            stacked=True,
            smallest=0.0,
            runbook="PaymentProviderFailing",
        ),
        graph(
            "Payment provider: circuit",
            "Highest state of any worker: 0 asks, 1 tries one call, 2 answers at once without.",
            "none",
            Query(
                promql.value(checkout.CHECKOUT_PAYMENT_CIRCUIT, by=("provider",), aggregate="max"),
                "{{provider}}",
            ),
            smallest=0.0,
            steps=(Step(2.0, "red"),),
            runbook="PaymentProviderFailing",
        ),
        graph(
            "Payment provider: circuit changes per hour",
            "Many mean a provider that comes and goes.",
            "none",
            Query(
                promql.increase(
                    checkout.CHECKOUT_PAYMENT_CIRCUIT_CHANGES, by=("provider", "state")
                ),
                "{{provider}} {{state}}",
            ),
            smallest=0.0,
            runbook="PaymentProviderFailing",
        ),
        graph(
            "Payment provider: repeated calls",
            "Per second. Over budget means that repeats would be more than a tenth of all calls.",
            "reqps",
            Query(
                promql.rate(checkout.CHECKOUT_PAYMENT_RETRIES, by=("provider", "result")),
                "{{provider}} {{result}}",
            ),
            smallest=0.0,
            runbook="PaymentProviderFailing",
        ),
        number(
            "Payments of a wrong amount in a day",
            "Of another amount or currency than the order's. They go back, and somebody looks.",
            "none",
            Query(
                promql.increase(
                    checkout.CHECKOUT_PAYMENT_MISMATCHES, window="1d", by=("provider",)
                ),
                "{{provider}}",
            ),
            decimals=0,
            steps=(Step(1.0, "red"),),
        ),
        number(
            "Money that moved at the provider in a day",
            "Refunds and disputes that we did not ask for, by what happened. Somebody looks.",
            "none",
            Query(
                promql.increase(checkout.CHECKOUT_MONEY_MOVED, window="1d", by=("move",)),
                "{{move}}",
            ),
            decimals=0,
            steps=(Step(1.0, "red"),),
            runbook="MoneyMovedOutside",
        ),
        graph(
            "Oldest item of each work list",
            "How long it has been due or failing. Refused refunds are a number of their own: each"
            " waits for a person.",
            "s",
            Query(
                promql.value(checkout.CHECKOUT_WORK_DUE, by=("work",), aggregate="max"), "{{work}}"
            ),
            Query(
                promql.value(checkout.CHECKOUT_REFUNDS_REFUSED, aggregate="max"), "refused refunds"
            ),
            smallest=0.0,
            runbook="WorkOverdue",
        ),
        graph(
            "Stock that is held",
            "Of a market's cars on offer, the share that somebody holds and has not bought.",
            "percentunit",
            Query(
                promql.value(checkout.CHECKOUT_STOCK_HELD, by=("market",), aggregate="max"),
                "{{market}}",
            ),
            smallest=0.0,
            runbook="StockHoarded",
        ),
        graph(
            "Messages from providers",
            "Webhooks per second by what became of them. Rejected ones had a bad signature or age.",
            "reqps",
            Query(promql.rate(checkout.CHECKOUT_WEBHOOKS, by=("result",)), "{{result}}"),
            smallest=0.0,
        ),
        graph(
            "Effects written by checkout",
            "Statements per second that write all of an effect or nothing. Outrun ones decided anew"
            " because the car had changed meanwhile; failed ones did not reach the database.",
            "reqps",
            Query(promql.rate(checkout.CHECKOUT_EFFECTS, by=("result",)), "{{result}}"),
            smallest=0.0,
        ),
        graph(
            "Late payments per hour",
            "Money that came after the hold had ended: the car was still free, or money went back.",
            "none",
            Query(promql.increase(checkout.CHECKOUT_LATE_PAYMENTS, by=("result",)), "{{result}}"),
            smallest=0.0,
        ),
        graph(
            "Sold at the desk per hour",
            "What dealers reported from the showroom: sold, refused because a shopper had the car,"
            " or taken back. Many that are refused: the feeds and the showroom disagree.",
            "none",
            Query(promql.increase(checkout.CHECKOUT_DESK_SALES, by=("result",)), "{{result}}"),
            smallest=0.0,
        ),
        graph(
            "Practice provider: payments",
            "Submissions of the sandbox's payment page per second, by answer.",
            "reqps",
            Query(promql.rate(sandbox.SANDBOX_PAYMENTS, by=("result",)), "{{result}}"),
            smallest=0.0,
        ),
        graph(
            "Practice provider: webhooks",
            "Attempts to deliver per second; lost ones are lost on purpose.",
            "reqps",
            Query(promql.rate(sandbox.SANDBOX_WEBHOOKS, by=("result",)), "{{result}}"),
            smallest=0.0,
        ),
    ),
)
FACTS = Row(
    "Facts on their way to the ledger",
    (
        graph(
            "Waiting facts: age",
            "Age of the oldest fact that some consumer has not read. Seconds are normal.",
            "s",
            Query(promql.value(frame.OUTBOX_LAG, by=("service",), aggregate="max"), "{{service}}"),
            smallest=0.0,
            steps=(Step(OUTBOX_LAG_SECONDS, "red"),),
            runbook="OutboxStuck",
        ),
        graph(
            "Facts set aside",
            "What a consumer could not digest and will try again. Anything over zero is a fault.",
            "none",
            Query(
                promql.value(
                    frame.CONSUMER_EVENTS_UNDIGESTED, by=("service", "source"), aggregate="max"
                ),
                "{{service}} of {{source}}",
            ),
            Query(
                promql.rate(frame.CONSUMER_EVENTS_SET_ASIDE, by=("service", "source")),
                "{{service}} of {{source}}, per second",
            ),
            smallest=0.0,
            runbook="FactsSetAside",
        ),
        graph(
            "Histories that parted",
            "1 while a consumer has read what its source does not have: a database was restored.",
            "none",
            Query(
                promql.value(frame.CONSUMER_PARTED, by=("service", "source"), aggregate="max"),
                "{{service}} of {{source}}",
            ),
            Query(
                promql.increase(frame.CONSUMER_EVENTS_MISSED, by=("service", "source")),
                "{{service}} of {{source}}, events missed",
            ),
            smallest=0.0,
            runbook="HistoryParted",
        ),
        graph(
            "Internal port: refused",
            "Requests without a key, from a foreign host or page: somebody is in the wrong place.",
            "reqps",
            Query(
                promql.rate(frame.INTERNAL_REFUSED, by=("service", "reason")),
                "{{service}}, {{reason}}",
            ),
            smallest=0.0,
        ),
        graph(
            "Ledger: behind by",
            "Age of the oldest fact that the ledger has not booked. At zero the numbers are exact.",
            "s",
            Query(promql.value(insight.LEDGER_LAG, by=("source",), aggregate="max"), "{{source}}"),
            smallest=0.0,
            steps=(Step(LEDGER_LAG_SECONDS, "red"),),
            runbook="LedgerBehind",
        ),
        graph(
            "Ledger: numbers that moved",
            "Counts that changed in an hour after they had been counted, by why: facts told late,"
            " payments after the end, visits found out to be a program's. Amounts of money are in"
            " reports.",
            "none",
            Query(
                promql.increase(
                    insight.LEDGER_RESTATED,
                    Matcher("metric", "!~", ".*_value_.*"),
                    by=("reason", "direction"),
                ),
                "{{reason}}, {{direction}}",
            ),
            smallest=0.0,
        ),
        graph(
            "Facts in outboxes",
            "Rows, read or not, that have not been pruned.",
            "none",
            Query(promql.value(frame.OUTBOX_ROWS, by=("service",), aggregate="max"), "{{service}}"),
            smallest=0.0,
            runbook="OutboxStuck",
        ),
        graph(
            "Rows removed",
            "Rows that had stayed as long as their table's rule says, per second.",
            "none",
            Query(
                promql.rate(frame.RETENTION_ROWS_REMOVED, by=("service", "table")),
                "{{service}}, {{table}}",
            ),
            smallest=0.0,
        ),
        graph(
            "Rows overdue",
            "Since when the oldest row should be gone. Over a day: more comes than a turn removes.",
            "s",
            Query(
                promql.value(frame.RETENTION_OVERDUE, by=("service", "table"), aggregate="max"),
                "{{service}}, {{table}}",
            ),
            smallest=0.0,
        ),
        graph(
            "Databases: size",
            "What each service's database takes on its disk.",
            "short",
            Query(
                promql.value(frame.DATABASE_SIZE, by=("service",), aggregate="max"), "{{service}}"
            ),
            smallest=0.0,
            runbook="DiskFullSoon",
        ),
        graph(
            "Databases: room",
            "By how much each may still grow. When it is used up nothing is sold.",
            "short",
            Query(
                promql.value(frame.DATABASE_ROOM, by=("service",), aggregate="min"), "{{service}}"
            ),
            smallest=0.0,
            steps=(Step(0.0, "red"), Step(DATABASE_ROOM_BYTES, "green")),
            runbook="DiskFullSoon",
        ),
        graph(
            "Clocks: ahead of the database by",
            "The database's clock counts; a machine's that is far from it wants setting.",
            "s",
            Query(
                promql.value(frame.CLOCK_SKEW, by=("service", "instance"), aggregate="max"),
                "{{service}} {{instance}}",
            ),
            runbook="ClockSkew",
        ),
        graph(
            "Facts booked per second",
            "What became of facts that the ledger read. Duplicates are harmless.",
            "none",
            Query(
                promql.rate(insight.INSIGHT_FACTS, by=("source", "result")),
                "{{source}} {{result}}",
            ),
            smallest=0.0,
            runbook="LedgerBehind",
        ),
        graph(
            "Beacons of browsers per second",
            "What became of them. Without consent nothing is kept.",
            "none",
            Query(promql.rate(insight.INSIGHT_BEACONS, by=("result",)), "{{result}}"),
            smallest=0.0,
        ),
        number(
            "Broken invariants",
            "Rows that break something that must always be true. Anything but 0 is wrong.",
            "none",
            Query(
                promql.value(
                    checkout.CHECKOUT_INVARIANT_VIOLATIONS, by=("invariant",), aggregate="max"
                ),
                "{{invariant}}",
            ),
            decimals=0,
            steps=(Step(1.0, "red"),),
            runbook="InvariantViolated",
        ),
    ),
)
STOCK = Row(
    "Stock and advice",
    (
        graph(
            "Age of stock feeds",
            f"Time since each feed's last good import. {FEED_FRESHNESS.description}",
            "s",
            Query(
                "time() - "
                + promql.value(STOCK_IMPORT_LAST_SUCCESS, by=("source",), aggregate="max"),
                "{{source}}",
            ),
            smallest=0.0,
            steps=(Step(FEED_AGE_SECONDS, "red"),),
            runbook="StockFeedStale",
        ),
        graph(
            "Rows of stock feeds per hour",
            "What became of them. Many rejected or removed rows mean a damaged feed.",
            "none",
            Query(
                promql.increase(STOCK_IMPORT_ROWS, by=("source", "result")),
                "{{source}} {{result}}",
            ),
            smallest=0.0,
        ),
        graph(
            "Computing a match",
            "Filtering, scoring and explaining, without the HTTP around it.",
            "s",
            *(
                Query(promql.quantile(q, ADVISOR_MATCH_DURATION), name)
                for q, name in ((0.5, "half take less"), (0.95, "19 in 20 take less"))
            ),
            smallest=0.0,
            runbook="AdviceLatencyBudgetBurn",
        ),
    ),
)
