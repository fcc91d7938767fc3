"""Who hears of an alert, when, and which alerts a louder one makes redundant.

Alertmanager 0.25 (Debian 12) cannot read a webhook's address from a file, so the address is a
parameter of the rendering. One address receives everything; the payload's `receiver` and
`groupLabels.team` say how urgent it is and whose it is.
"""

from typing import Any

from alerts.business import NO_ORDERS
from alerts.operations import INVARIANT_VIOLATED, OUTBOX_STUCK, TELEMETRY_MISSING, WATCHDOG
from alerts.timing import DAY, HOUR, MINUTE, Timing
from telemetry.catalogue import slos
from telemetry.catalogue.links import burn_alert

# Where the compose network finds insight's internal port.
WEBHOOK_URL = "http://insight:9105/internal/insight/alerts"
# Beside the configuration: what opens the webhook, insight's `VITRINE_ALERT_KEY`.
KEY_FILE = "alert_key"
RECEIVERS = ("pager", "tickets", "rehearsal", "heartbeat")
PAYMENT_PROVIDER_FAILING = "PaymentProviderFailing"
LEDGER_BEHIND = "LedgerBehind"


def configuration(timing: Timing, webhook_url: str) -> dict[str, Any]:
    """The whole of `alertmanager.yml`; waiting times are scaled like the rules' windows."""
    return {
        "global": {"resolve_timeout": timing.hold(5 * MINUTE)},
        "route": _route(timing),
        "inhibit_rules": _inhibitions(),
        "receivers": [
            {"name": name, "webhook_configs": [_webhook(webhook_url)]} for name in RECEIVERS
        ],
    }


def _webhook(url: str) -> dict[str, Any]:
    authorization = {"credentials_file": KEY_FILE}
    return {
        "url": url,
        "send_resolved": True,
        "http_config": {"authorization": authorization},
    }


def _route(timing: Timing) -> dict[str, Any]:
    """Grouped by team, so that no notification is two teams' business."""
    return {
        "receiver": "tickets",
        "group_by": ["team", "alertname", "service"],
        "group_wait": timing.hold(5 * MINUTE),
        "group_interval": timing.hold(30 * MINUTE),
        "repeat_interval": timing.hold(DAY),
        "routes": [
            {
                "receiver": "heartbeat",
                "matchers": [f'alertname="{WATCHDOG.name}"'],
                "group_wait": "0s",
                "group_interval": timing.hold(MINUTE),
                "repeat_interval": timing.hold(5 * MINUTE),
            },
            # A rehearsal proves the rule without waking anybody.
            {
                "receiver": "rehearsal",
                "matchers": ['traffic="synthetic"'],
                "group_wait": timing.hold(10),
                "group_interval": timing.hold(MINUTE),
            },
            {
                "receiver": "pager",
                "matchers": ['severity="page"'],
                "group_wait": timing.hold(10),
                "group_interval": timing.hold(MINUTE),
                "repeat_interval": timing.hold(4 * HOUR),
            },
        ],
    }


def _inhibitions() -> list[dict[str, Any]]:
    missing = TELEMETRY_MISSING[0].name
    no_pay = [
        burn_alert(slo)
        for slo in (slos.ORDER_SUCCESS, slos.CHECKOUT_LATENCY, slos.CONFIRMATION_TIME)
    ]
    return [
        # Somebody is up already: the slow form of the same alert adds nothing.
        _inhibit('severity="page"', 'severity="ticket"', equal=["alertname", "service"]),
        # A service that is dark explains what else is wrong with it.
        _inhibit(
            f'alertname="{missing}",severity="page"',
            f'alertname!~"{missing}|{INVARIANT_VIOLATED.name}"',
            equal=["service"],
        ),
        # These are computed from insight's ledger.
        _inhibit(
            f'alertname="{missing}",service="insight"',
            f'alertname=~"{NO_ORDERS.name}|{LEDGER_BEHIND}"',
        ),
        _inhibit(
            f'alertname="{PAYMENT_PROVIDER_FAILING}"',
            f'alertname=~"{"|".join((NO_ORDERS.name, *no_pay))}"',
        ),
        _inhibit(f'alertname="{OUTBOX_STUCK.name}"', f'alertname="{LEDGER_BEHIND}"'),
    ]


def _inhibit(source: str, target: str, equal: list[str] | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "source_matchers": source.split(","),
        "target_matchers": target.split(","),
    }
    if equal:
        rule["equal"] = equal
    return rule
