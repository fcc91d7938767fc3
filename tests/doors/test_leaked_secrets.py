"""Every secret of the shop has leaked at once: docs/leaked-secrets.md is followed literally."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.contracts.sandbox import webhook_signature
from app.frame.keys import secrets_of
from app.kernel.clock import SystemClock
from rigs.shop import ROOT, operator_headers
from tests.builders.purchase import CUSTOMER, Buyer, bearer, key
from tests.doors.desks import Desk
from tests.doors.houses import LONG, House, opened

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not LONG, reason="starts a shop three times: the long form"),
]

DOCUMENT = ROOT / "docs" / "leaked-secrets.md"
DEPLOYED = {"service": "checkout", "revision": "leaked", "outcome": "succeeded"}
PERIOD = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
NOT_OURS = b"{}"


def fresh() -> dict[str, str]:
    """A new value of every secret that the shop reads."""
    return {secret.variable: secret.new() for secret in secrets_of()}


def opened_doors(house: House, secrets: Mapping[str, str]) -> dict[str, bool]:
    """By the name of a secret: whether its door opens to whoever has it."""

    def bears(name: str) -> dict[str, str]:
        return bearer(secrets[name])

    signature = webhook_signature(
        NOT_OURS, secrets["VITRINE_WEBHOOK_SECRET"], int(SystemClock().now().timestamp())
    )
    inside, insight = f"{house.internal('checkout')}/internal", "/api/insight/v1"
    with httpx.Client(base_url=house.url, trust_env=False, timeout=30) as stranger:
        answers = {
            "VITRINE_SESSION_KEY": stranger.get(
                f"{inside}/checkout/invariants",
                headers=operator_headers(secrets["VITRINE_SESSION_KEY"]),
            ),
            "VITRINE_DEALER_KEY": stranger.post(
                "/api/checkout/v1/cars/unknown/desk-sale",
                headers={**bears("VITRINE_DEALER_KEY"), **key()},
            ),
            "VITRINE_DELIVERY_KEY": stranger.post(
                f"{insight}/deployments", json=DEPLOYED, headers=bears("VITRINE_DELIVERY_KEY")
            ),
            "VITRINE_REPORT_KEY": stranger.get(
                f"{insight}/reports/funnel", params=PERIOD, headers=bears("VITRINE_REPORT_KEY")
            ),
            "VITRINE_ALERT_KEY": stranger.post(
                f"{inside}/insight/alerts",
                json={"alerts": []},
                headers=bears("VITRINE_ALERT_KEY"),
            ),
            "VITRINE_PAYMENT_KEY": stranger.get(
                "/sandbox/v1/payments/unknown", headers=bears("VITRINE_PAYMENT_KEY")
            ),
            "VITRINE_WEBHOOK_SECRET": stranger.post(
                "/api/checkout/v1/payment-events/sandbox",
                content=NOT_OURS,
                headers={"webhook-signature": signature},
            ),
            "VITRINE_CONSOLE_PASSWORD": stranger.post(
                "/console/login", data={"password": secrets["VITRINE_CONSOLE_PASSWORD"]}
            ),
        }
    return {name: not _refused(name, answer) for name, answer in answers.items()}


def _refused(name: str, answer: httpx.Response) -> bool:
    if name == "VITRINE_WEBHOOK_SECRET":
        return "signature" in answer.text
    if name == "VITRINE_CONSOLE_PASSWORD":
        return answer.status_code != 303
    return answer.status_code in (401, 403)


@contextmanager
def buyer_of(house: House) -> Iterator[Buyer]:
    with httpx.Client(base_url=house.url, trust_env=False, timeout=60) as client:
        yield Buyer(client)


def test_all_secrets_are_changed_and_whoever_has_the_old_ones_has_nothing(tmp_path: Path) -> None:
    old, new = fresh(), fresh()
    customers = "VITRINE_CUSTOMER_KEY"
    with opened("embedded", tmp_path, **old) as house, buyer_of(house) as buyer:
        bought = buyer.buy(buyer.cars()[0]["car_id"])
        before = opened_doors(house, old)

    with opened(
        "embedded", tmp_path, **{**new, customers: f"{new[customers]},{old[customers]}"}
    ) as house:
        to_old, to_new = opened_doors(house, old), opened_doors(house, new)
        desk = Desk(house, tmp_path / "desk")
        said = [
            (done.args[-1], done.returncode)
            for beginning in ("python -m app.checkout", "python deploy/ask.py")
            for done in desk.type(DOCUMENT, beginning)
        ]

    with opened("embedded", tmp_path, **new) as house, buyer_of(house) as buyer:
        again, seen = buyer.buy(buyer.cars()[0]["car_id"]), buyer.read(bought)
        erased = Desk(house, tmp_path / "other").run(
            f"echo {CUSTOMER['email']} | python -m app.checkout erase --email -", service="checkout"
        )

    assert before == to_new == dict.fromkeys(before, True)
    assert to_old == dict.fromkeys(before, False)
    assert [(command, code) for command, code in said if code] == []
    assert len(said) >= 3
    assert (seen["state"], again["state"]) == ("confirmed", "confirmed")
    # Both wait for their handover: found by their address with the new keys, and not forgotten yet.
    assert (erased.returncode, erased.stdout.count("still open")) == (1, 2)
