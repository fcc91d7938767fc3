"""How answers count: the shop's outcomes, not bare status codes."""

import json

import pytest

from loadtests.answers import Answer
from telemetry.catalogue.outcomes import Outcome


def _problem(status: int, code: str) -> Answer:
    headers = {"content-type": "application/problem+json"}
    return Answer(status, headers, json.dumps({"type": f"/problems/{code}"}).encode())


@pytest.mark.parametrize(
    ("answer", "outcome", "failed", "repeat"),
    [
        (Answer(0, error="ConnectError"), Outcome.UNAVAILABLE, True, True),
        (Answer(200), Outcome.OK, False, False),
        (Answer(303), Outcome.OK, False, False),
        (_problem(409, "car-not-available"), Outcome.SOLD_OUT, False, False),
        (_problem(409, "car_not_available"), Outcome.SOLD_OUT, False, False),
        (_problem(409, "hold-ended"), Outcome.CONFLICT, False, False),
        (_problem(409, "idempotency-key-in-flight"), Outcome.CONFLICT, False, True),
        (_problem(402, "card-declined"), Outcome.REFUSED, False, False),
        (_problem(503, "overloaded"), Outcome.SHED, True, True),
        (_problem(503, "temporarily-unavailable"), Outcome.UNAVAILABLE, True, True),
        (Answer(500), Outcome.FAULT, True, True),
        (Answer(404), Outcome.INVALID, True, False),
        (_problem(429, "too-many-holds"), Outcome.REFUSED, False, True),
    ],
)
def test_an_answer_counts_as_what_it_means(
    answer: Answer, outcome: Outcome, failed: bool, repeat: bool
) -> None:
    assert (answer.outcome, answer.failed, answer.worth_repeating) == (outcome, failed, repeat)


def test_a_body_that_is_no_json_object_has_no_fields() -> None:
    assert [Answer(200, {}, body).fields() for body in (b"", b"<p>", b"[1]")] == [{}, {}, {}]


@pytest.mark.parametrize(
    ("header", "seconds"), [({}, 0.25), ({"retry-after": "2"}, 2.0), ({"retry-after": "x"}, 0.25)]
)
def test_the_shop_says_how_long_to_wait(header: dict[str, str], seconds: float) -> None:
    assert Answer(503, header).retry_after_seconds == seconds
