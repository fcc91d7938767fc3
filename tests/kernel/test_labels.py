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
