"""No marketing label costs a sale: it is cut or left out, never refused."""

from __future__ import annotations

from typing import Any

import pytest

from app.contracts.checkout import Attribution, OrderRequest
from app.contracts.labels import as_label


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("spring", "spring"),
        (
            "DK | Lookalike 2% | Karussel | Solvind " * 9,
            ("DK | Lookalike 2% | Karussel | Solvind " * 9)[:100],
        ),
        ("x" * 100_000, "x" * 100),
        ("e" * 99 + "e\u0301\u0316", "e" * 99),
        ("tab\tand\x00nul\r\nline", "tab andnul line"),
        ("lone \udc80 half", "lone  half"),
        ("right\u202eleft", "rightleft"),
        ("{{campaign.name}}", "{{campaign.name}}"),
        ("for anna.ask@example.se only", ""),
        ("anna%40example.se", ""),
        *((odd, "") for odd in (None, 7, 1.5, True, ["a"], {"a": "b"}, "", " \n ")),
        ("for anna\uff20example.test", ""),
        ("anna@example\uff0etest", ""),
    ],
)
def test_a_label_is_one_short_line_or_nothing(given: Any, kept: str) -> None:
    assert as_label(given) == kept


@pytest.mark.parametrize(
    "odd", [None, 3, "text", ["utm_source"], True, {"utm_unknown": {"a": [1]}}]
)
def test_attribution_of_any_shape_is_taken(odd: Any) -> None:
    order = {
        "hold_id": "hld_1",
        "customer": {"name": "Anna", "email": "anna@example.se", "phone": "+46701234567"},
    }

    assert OrderRequest.model_validate({**order, "attribution": odd}).attribution == Attribution()


def test_what_does_not_fit_is_left_out_and_the_rest_is_kept() -> None:
    given = {
        "utm_source": ["x"],
        "utm_term": "estate car",
        "entry": "newsletter",
        "advice_id": "a b",
    }

    assert Attribution.model_validate(given) == Attribution(utm_term="estate car")


SOMEBODY = (
    "anna%2540example.se",
    "anna(at)example.se",
    "summer 0709876543",
    "tel0709876543",
    "070-987 65 43",
    "0.7.0.9.8.7.6.5.4.3",
    "+46709876543",
    "%2B46709876543",
    "46 70 987 65 43",
    "\u0660\u0667\u0660\u0669\u0668\u0667\u0666\u0665\u0664\u0663",
    "\uff10\uff17\uff10\uff19\uff18\uff17\uff16\uff15\uff14\uff13",
    "\U0001d7ce\U0001d7d5\U0001d7ce\U0001d7d7\U0001d7d6\U0001d7d5\U0001d7d4\U0001d7d3\U0001d7d2",
    "07\u200b09\u200b87\u200b6543",
    "%30%37%30%39%38%37%36%35%34%33",
    "198001019876",
    "19800101-9876",
    "800101+9876",
    "131052-308T",
    "4242 4242 4242 4242",
    "WVWZZZ1JZ3W386752",
    "Bearer abcdefgh",
)
CAMPAIGNS = (
    "black_friday_2026!",
    "black_friday_2026-11-27",
    "20261127_20261201",
    "utm_q4_2026_120x600",
    "2026/27 winter",
    "cars under 400 000 kr",
    "rabatt 10000-20000",
    "SE-45-54-2026",
    "100% el",
    "a+b",
    "is it spring?x=1",
    "120203984039840398403984",
)


@pytest.mark.parametrize("label", SOMEBODY)
def test_what_looks_like_a_person_is_no_label_however_it_is_written(label: str) -> None:
    assert as_label(label) == ""


@pytest.mark.parametrize("label", CAMPAIGNS)
def test_a_campaign_keeps_its_name(label: str) -> None:
    assert as_label(label) == label
