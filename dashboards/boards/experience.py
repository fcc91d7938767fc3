"""Waiting, advice, and what shoppers see and say."""

from dashboards.boards.business import DAY, HOUR, RECENT, counted
from dashboards.panels import Query, Row, Step, bars, graph, number
from dashboards.variables import CHOSEN
from telemetry.catalogue import SLO, insight, promql
from telemetry.catalogue.advisor import ADVISOR_MATCHES
from telemetry.catalogue.slos import CONFIRMATION_TIME, PAINT_TIME
from telemetry.catalogue.spec import Metric
from telemetry.catalogue.storefront import STOREFRONT_PAGES_DEGRADED


def quantiles(metric: Metric) -> tuple[Query, ...]:
    return tuple(
        Query(promql.quantile(q, metric, *CHOSEN, window=RECENT), name)
        for q, name in ((0.5, "half take less"), (0.95, "19 in 20 take less"))
    )


def three_quarters(metric: Metric) -> Query:
    """What three page views in four stay under, by device."""
    return Query(promql.quantile(0.75, metric, window=HOUR, by=("device",)), "{{device}}")


def threshold(slo: SLO) -> float:
    if slo.threshold_seconds is None:
        raise ValueError(f"{slo.name} has no threshold")
    return slo.threshold_seconds


def graded(metric: Metric) -> tuple[Step, ...]:
    good, poor = insight.GRADES[metric.name]
    return (Step(good, "yellow"), Step(poor, "red"))


def promoters() -> str:
    """Net promoter score over a day: share of promoters less share of detractors."""
    every = counted(insight.SHOP_NPS_RESPONSES, window=DAY)
    for_us = counted(insight.SHOP_NPS_RESPONSES, window=DAY, group="promoter")
    against = counted(insight.SHOP_NPS_RESPONSES, window=DAY, group="detractor")
    return f"100 * {promql.ratio(f'{for_us} - {against}', every)}"


def satisfied() -> str:
    good = promql.increase(insight.SHOP_CSAT_RESPONSES, *CHOSEN, window=DAY, score=("4", "5"))
    return promql.ratio(good, counted(insight.SHOP_CSAT_RESPONSES, window=DAY))


WAITING = Row(
    "How long buying takes",
    (
        graph(
            "From submitting an order to its confirmation",
            "The shopper's own typing at the payment provider included.",
            "s",
            *quantiles(insight.SHOP_ORDER_DURATION),
            width=12,
            smallest=0.0,
        ),
        graph(
            "From accepted payment to confirmed order",
            f"The promise (red line): {CONFIRMATION_TIME.description}",
            "s",
            *quantiles(insight.SHOP_CONFIRMATION_DURATION),
            width=12,
            smallest=0.0,
            steps=(Step(threshold(CONFIRMATION_TIME), "red"),),
            runbook="ConfirmationTimeBudgetBurn",
        ),
    ),
)
ADVICE = Row(
    "The advisor",
    (
        bars(
            "Advised purchase, last hour",
            "Visits that reached each step, from the first question to the order.",
            "none",
            *(
                Query(counted(insight.SHOP_ADVICE_STEPS, step=step), step.replace("_", " "))
                for step in insight.ADVICE_STEPS
            ),
            decimals=0,
        ),
        graph(
            "How advice ends",
            "Advice sessions per minute: completed, abandoned, or nothing matched.",
            "none",
            Query(
                f"60 * {promql.rate(insight.SHOP_ADVICE, *CHOSEN, by=('result',))}", "{{result}}"
            ),
            stacked=True,
            smallest=0.0,
        ),
        graph(
            "Answers of the advisor",
            "Per minute, all traffic. Refused: nothing met the needs, looser ones were offered.",
            "none",
            Query(f"60 * {promql.rate(ADVISOR_MATCHES, by=('outcome',))}", "{{outcome}}"),
            stacked=True,
            smallest=0.0,
            runbook="AdviceSuccessBudgetBurn",
        ),
    ),
)
FEELING = Row(
    "What shoppers see and say",
    (
        graph(
            "First byte",
            "From the click to the first byte of the page: three page views in four wait less.",
            "s",
            three_quarters(insight.BROWSER_TTFB),
            smallest=0.0,
            steps=graded(insight.BROWSER_TTFB),
        ),
        graph(
            "First paint",
            "First contentful paint: three page views in four show something sooner than this.",
            "s",
            three_quarters(insight.BROWSER_FCP),
            smallest=0.0,
            steps=graded(insight.BROWSER_FCP),
        ),
        graph(
            "Largest paint",
            f"{PAINT_TIME.description} The lines are where good ends and poor begins.",
            "s",
            three_quarters(insight.BROWSER_LCP),
            smallest=0.0,
            steps=graded(insight.BROWSER_LCP),
            runbook="PaintTimeBudgetBurn",
        ),
        graph(
            "Reaction to a tap or click",
            "Interaction to next paint: three page views in four react faster than this.",
            "s",
            three_quarters(insight.BROWSER_INP),
            width=12,
            smallest=0.0,
            steps=graded(insight.BROWSER_INP),
        ),
        graph(
            "Jumping pages",
            "Cumulative layout shift: three page views in four jump less than this.",
            "none",
            three_quarters(insight.BROWSER_CLS),
            width=12,
            smallest=0.0,
            decimals=3,
            steps=graded(insight.BROWSER_CLS),
        ),
        number(
            "Satisfied, last day",
            "Answers 4 and 5 to the satisfaction question, divided by all answers.",
            "percentunit",
            Query(satisfied(), "satisfied"),
            width=4,
            height=6,
            decimals=0,
        ),
        number(
            "Would recommend us, last day",
            "Net promoter score from -100 to 100. Few answers make it jump: see the reports.",
            "none",
            Query(promoters(), "score"),
            width=4,
            height=6,
            decimals=0,
        ),
        graph(
            "Broken visits per hour",
            "Visits with an error that broke the page, by release.",
            "none",
            Query(
                promql.increase(insight.CLIENT_SESSIONS_CRASHED, window=HOUR, by=("release",)),
                "{{release}}",
            ),
            height=6,
            smallest=0.0,
        ),
        graph(
            "Incomplete pages per minute",
            "Pages served without what a service behind them should have added.",
            "none",
            Query(
                f"60 * {promql.rate(STOREFRONT_PAGES_DEGRADED, by=('peer_service',))}",
                "without {{peer_service}}",
            ),
            height=6,
            smallest=0.0,
        ),
    ),
)
