"""The machine itself: requests, protection against overload, flags, telemetry, running code."""

from dashboards.panels import Query, Row, Step, graph, listing
from telemetry.catalogue import frame, http, insight, promql
from telemetry.catalogue.limits import SHED_RATIO
from telemetry.catalogue.outcomes import BUDGET_SPENDING
from telemetry.catalogue.slos import PAGE_LATENCY
from telemetry.catalogue.spec import Matcher

REQUESTS = http.HTTP_SERVER_REQUEST_DURATION
FAILED = Matcher("outcome", "=~", "|".join(BUDGET_SPENDING))

REQUESTS_OF_SERVICES = Row(
    "Requests",
    (
        graph(
            "Requests per second",
            "Answered requests by service, all traffic.",
            "reqps",
            Query(promql.rate(REQUESTS, by=("service",)), "{{service}}"),
            smallest=0.0,
        ),
        graph(
            "Failed requests",
            "Share of requests that we are to blame for, by service and outcome.",
            "percentunit",
            Query(
                f"{promql.rate(REQUESTS, FAILED, by=('service', 'outcome'))}"
                f" / on (service) group_left () ({promql.rate(REQUESTS, by=('service',))} > 0)",
                "{{service}} {{outcome}}",
            ),
            smallest=0.0,
            steps=(Step(SHED_RATIO, "red"),),
        ),
        graph(
            "Time to answer, 19 in 20",
            "95th percentile by service; the line is the promise for pages.",
            "s",
            Query(promql.quantile(0.95, REQUESTS, by=("service",)), "{{service}}"),
            smallest=0.0,
            steps=(Step(PAGE_LATENCY.threshold_seconds or 0.0, "red"),),
            runbook="PageLatencyBudgetBurn",
        ),
        graph(
            "Requests in progress",
            "Rises before latency does: the first sign of a jam.",
            "none",
            Query(promql.value(http.HTTP_SERVER_ACTIVE_REQUESTS, by=("service",)), "{{service}}"),
            smallest=0.0,
        ),
        graph(
            "Calls to other services, 19 in 20",
            "95th percentile of calls from the caller's side, time on the way included.",
            "s",
            Query(
                promql.quantile(
                    0.95, http.HTTP_CLIENT_REQUEST_DURATION, by=("service", "peer_service")
                ),
                "{{service}} to {{peer_service}}",
            ),
            smallest=0.0,
        ),
        graph(
            "Answers by outcome",
            "Per second, all services. Refused, conflict and sold out are not errors of ours.",
            "reqps",
            Query(promql.rate(REQUESTS, by=("outcome",)), "{{outcome}}"),
            stacked=True,
            smallest=0.0,
        ),
        listing(
            "Busiest routes",
            "Requests per second of the fifteen busiest routes.",
            "reqps",
            Query(
                "topk(15, "
                + promql.rate(REQUESTS, by=("service", "http_request_method", "http_route"))
                + ")",
                "{{service}} {{http_request_method}} {{http_route}}",
            ),
            width=12,
            height=10,
            decimals=2,
        ),
        listing(
            "Slowest routes",
            "95th percentile of the fifteen slowest routes.",
            "s",
            Query(
                "topk(15, "
                + promql.quantile(0.95, REQUESTS, by=("service", "http_route"))
                + " > 0)",
                "{{service}} {{http_route}}",
            ),
            width=12,
            height=10,
            decimals=3,
        ),
    ),
)
PROTECTION = Row(
    "Protection and delivery",
    (
        graph(
            "Requests turned away per second",
            "By service and priority. Robots go first; buying goes last.",
            "reqps",
            Query(
                promql.rate(frame.OVERLOAD_SHED, by=("service", "priority")),
                "{{service}} {{priority}}",
            ),
            smallest=0.0,
            runbook="OverloadShedding",
        ),
        graph(
            "Callers over their limit",
            "Per second, refused or not counted, because one session or address had too many.",
            "reqps",
            Query(
                promql.rate(frame.REQUESTS_LIMITED, by=("service", "kind", "limited_by")),
                "{{service}} {{kind}} {{limited_by}}",
            ),
            smallest=0.0,
        ),
        graph(
            "Signatures of buying agents",
            "Per second, by what came of them. Who is not verified is served all the same.",
            "reqps",
            Query(
                promql.rate(frame.AGENT_SIGNATURES, by=("service", "result")),
                "{{service}} {{result}}",
            ),
            smallest=0.0,
        ),
        graph(
            "Flags in force",
            "1 while a feature or fault flag is not at rest. A forgotten fault shows here.",
            "none",
            Query(promql.value(frame.FLAG_ENABLED, by=("flag",), aggregate="max"), "{{flag}}"),
            smallest=0.0,
        ),
        graph(
            "Telemetry lost per hour",
            "Spans thrown away, and observations written as `other`. Both should be zero.",
            "none",
            Query(
                promql.increase(frame.TELEMETRY_SPANS_DROPPED, by=("service", "reason")),
                "spans of {{service}}: {{reason}}",
            ),
            Query(
                promql.increase(frame.TELEMETRY_LABELS_OVERFLOWED, by=("service",)),
                "labels of {{service}}",
            ),
            smallest=0.0,
        ),
        graph(
            "Deployments per day",
            "Roll-outs by service and how they ended.",
            "none",
            Query(
                promql.increase(
                    insight.DELIVERY_DEPLOYMENTS, window="1d", by=("service", "outcome")
                ),
                "{{service}} {{outcome}}",
            ),
            smallest=0.0,
        ),
        listing(
            "Running code",
            "Replicas by service, version and revision. Two versions: a roll-out is under way.",
            "none",
            Query(
                promql.value(
                    frame.APP_INFO, by=("service", "version", "revision"), aggregate="count"
                ),
                "{{service}} {{version}} {{revision}}",
            ),
            width=16,
            decimals=0,
            runbook="TelemetryMissing",
        ),
    ),
)
