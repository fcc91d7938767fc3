import re
from pathlib import Path

import pytest
import yaml

from alerts import book, build, burnrate, business, operations, routing
from alerts.rules import Alert, Recording
from alerts.timing import Timing, counted, spoken
from app.catalog.settings import CatalogSettings
from telemetry.catalogue import SLO, all_slos, limits, slos
from telemetry.catalogue.links import burn_alert, runbook_url
from telemetry.catalogue.recorded import RECORDED
from tests.alerts.expressions import grouped, known_labels, used
from tests.alerts.promtool import amtool, promtool

ALERTS = [alert for file in book.rule_files() for alert in file.alerts]
RULES = [r for f in book.rule_files() for g in f.groups for r in g.rules]
DRILL = Timing(scale=12, scrape_seconds=1)


def test_rebuilding_changes_nothing() -> None:
    assert build.differences(build.committed(), build.ROOT) == []


def test_a_changed_a_missing_and_a_stray_file_are_each_named(tmp_path: Path) -> None:
    files = {"rules/a.yml": "a", "rules/b.yml": "b", "alertmanager.yml": "c"}
    build.write(files, tmp_path)
    (tmp_path / "rules" / "a.yml").write_text("other")
    (tmp_path / "alertmanager.yml").unlink()
    (tmp_path / "rules" / "stray.yml").write_text("")
    assert build.differences(files, tmp_path) == [
        "rules/a.yml: changed",
        "alertmanager.yml: missing",
        "rules/stray.yml: no longer rendered",
    ]


@pytest.mark.integration
def test_promtool_accepts_every_rule_at_both_speeds(tmp_path: Path) -> None:
    build.write(build.rendered(DRILL, "http://127.0.0.1:1/x", "http://c"), tmp_path)
    for folder in (build.ROOT, tmp_path):
        content, said = promtool("check", "rules", *sorted((folder / "rules").glob("*.yml")))
        assert content, said


@pytest.mark.integration
def test_amtool_accepts_the_routing_at_both_speeds(tmp_path: Path) -> None:
    build.write(build.rendered(DRILL, "http://127.0.0.1:1/x", "http://c"), tmp_path)
    for folder in (build.ROOT, tmp_path):
        content, said = amtool("check-config", folder / "alertmanager.yml")
        assert content, said


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["severity=page", "alertname=OrderSuccessBudgetBurn"], "pager"),
        (["severity=page", "alertname=NoOrders", "traffic=human"], "pager"),
        (["severity=page", "alertname=NoOrders", "traffic=synthetic"], "rehearsal"),
        (["severity=ticket", "alertname=StockFeedStale"], "tickets"),
        (["severity=none", "alertname=Watchdog"], "heartbeat"),
    ],
)
@pytest.mark.integration
def test_an_alert_reaches_the_receiver_of_its_urgency(labels: list[str], receiver: str) -> None:
    configuration = build.ROOT / "alertmanager.yml"
    content, said = amtool("config", "routes", "test", f"--config.file={configuration}", *labels)
    assert (content, said.split()[-1]) == (True, receiver)


def test_inhibition_names_only_alerts_that_exist() -> None:
    names = {alert.name for alert in ALERTS}
    rules = routing.configuration(book.PRODUCTION, "http://x")["inhibit_rules"]
    matchers = [
        m for rule in rules for key in ("source", "target") for m in rule[f"{key}_matchers"]
    ]
    named = {
        name
        for matcher in matchers
        if matcher.startswith("alertname")
        for name in matcher.partition('"')[2].rstrip('"').split("|")
    }
    assert named
    assert named <= names


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: getattr(rule, "name", None))
def test_every_series_and_label_of_a_rule_is_catalogued(rule: Alert | Recording) -> None:
    series = used(rule.expr)
    assert series or rule.expr == "vector(1)"
    for name, labels in series.items():
        assert labels <= known_labels(name), name
    joined = set().union(*(known_labels(name) for name in series)) | {"week"}
    assert grouped(rule.expr) <= joined


def test_every_recorded_series_is_catalogued_and_every_catalogued_one_is_recorded() -> None:
    recorded = {rule.series for rule in RULES if isinstance(rule, Recording)}
    assert recorded == set(RECORDED)


@pytest.mark.parametrize("slo", all_slos(), ids=lambda slo: slo.name)
def test_every_slo_has_a_ticket_and_a_page_when_it_promises_one(slo: SLO) -> None:
    severities = {a.severity for a in ALERTS if a.name == burn_alert(slo)}
    assert severities == ({"page", "ticket"} if slo.pages else {"ticket"})


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{alert.severity}")
def test_every_alert_has_an_owner_a_severity_texts_and_addresses(alert: Alert) -> None:
    rendered = alert.rendered(book.PRODUCTION, "http://console")
    assert set(rendered["labels"]) >= {"severity", "team"}
    assert alert.severity in {"page", "ticket", "none"}
    assert rendered["annotations"]["runbook_url"] == runbook_url(alert.name, "http://console")
    assert rendered["annotations"]["dashboard_url"].startswith("http://console/boards/")
    assert alert.summary.endswith(".")
    assert len(alert.description) > 40


@pytest.mark.parametrize("name", sorted({alert.name for alert in ALERTS}))
def test_every_alert_has_a_runbook_of_four_parts(name: str) -> None:
    text = (build.ROOT / "runbooks" / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "Meaning",
        "Impact",
        "Diagnosis",
        "Mitigation",
    ]
    for part in ("Owner", "Board", "Query", "Customers", "Escalation"):
        assert f"**{part}:**" in text
    team = next(alert.owner for alert in ALERTS if alert.name == name)
    assert f"**Owner:** team {team};" in text


def test_there_is_no_runbook_without_an_alert() -> None:
    runbooks = {path.stem for path in (build.ROOT / "runbooks").glob("*.md")}
    assert runbooks == {alert.name for alert in ALERTS}


@pytest.mark.integration
def test_the_query_of_every_runbook_parses_and_is_catalogued(tmp_path: Path) -> None:
    queries = {
        path.stem: match[1]
        for path in sorted((build.ROOT / "runbooks").glob("*.md"))
        if (match := re.search(r"^- \*\*Query:\*\* `(.+)`$", path.read_text(), re.MULTILINE))
    }
    assert set(queries) == {alert.name for alert in ALERTS}
    rules = [{"record": f"query:{name}", "expr": expr} for name, expr in queries.items()]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    content, said = promtool("check", "rules", file)
    assert content, said
    for expr in queries.values():
        for name, labels in used(expr).items():
            assert labels <= known_labels(name), expr


def test_links_between_runbooks_lead_somewhere() -> None:
    for path in (build.ROOT / "runbooks").glob("*.md"):
        for target in re.findall(r"\(/console/runbooks/(\w+)\)", path.read_text()):
            assert (build.ROOT / "runbooks" / f"{target}.md").exists(), (path.name, target)


def percent(share: float) -> str:
    return f"{100 * share:g} %"


SAID: dict[str, tuple[str, ...]] = {
    "FeedFreshnessBudgetBurn": (spoken(limits.FEED_AGE_SECONDS),),
    "HoldSuccessBudgetBurn": (percent(slos.HOLD_SUCCESS.objective),),
    "LedgerBehind": (f"over {spoken(limits.LEDGER_LAG_SECONDS)} behind",),
    "NoOrders": (counted(business.EXPECTED_ORDERS), percent(business.FLOOR_CONVERSION)),
    "OrderSuccessBudgetBurn": (
        percent(slos.ORDER_SUCCESS.objective),
        f"{percent(float(burnrate.WINDOWS[0].budget_share))} of the month's budget went in an hour",
        f"{percent(float(burnrate.WINDOWS[1].budget_share))} in six",
    ),
    "OutboxStuck": (f"over {spoken(limits.OUTBOX_LAG_SECONDS)}",),
    "OverloadShedding": (f"over {percent(limits.SHED_RATIO)}",),
    "PaymentProviderFailing": (
        f"over {percent(operations.PAYMENT_BAD_RATIO)}",
        f"at least {counted(operations.PAYMENT_BAD_CALLS)}",
        f"over {spoken(limits.PAYMENT_CALL_SLOW_SECONDS)}",
    ),
    "SearchSuccessBudgetBurn": (percent(slos.SEARCH_SUCCESS.objective),),
    "StockFeedStale": (
        f"over {spoken(limits.FEED_AGE_SECONDS)}",
        f"over {percent(CatalogSettings.model_fields['guard_share'].default)}",
    ),
    "WorkOverdue": (f"over {spoken(limits.WORK_DUE_SECONDS)}",),
} | {
    burn_alert(slo): (spoken(slo.threshold_seconds or 0), percent(slo.objective))[:most]
    for slo, most in (
        (slos.PAGE_LATENCY, 2),
        (slos.CHECKOUT_LATENCY, 2),
        (slos.SEARCH_LATENCY, 2),
        (slos.ADVICE_LATENCY, 2),
        (slos.CONFIRMATION_TIME, 1),
        (slos.PAINT_TIME, 1),
    )
}
"""What a runbook says of the numbers its alert compares with."""


@pytest.mark.parametrize("alert", sorted(SAID))
def test_a_runbook_says_the_numbers_that_its_alert_compares_with(alert: str) -> None:
    runbook = (build.ROOT / "runbooks" / f"{alert}.md").read_text()
    meaning = runbook.partition("## Meaning")[2].partition("## Impact")[0]
    assert [said for said in SAID[alert] if said not in meaning] == []
