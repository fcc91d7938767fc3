"""What an Idempotency-Key says to who comes with it again: rules alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.checkout.errors import KeyInFlight, KeyReused
from app.checkout.idempotency import ERASED_REQUEST, Claim, Replay, StoredAnswer, judged
from app.checkout.rows import Key
from tests.builders.sights import CLAIM, NOW, UNFINISHED

ANSWERED = UNFINISHED._replace(status=201, media_type="application/json", body=b"{}")
RUNNING: dict[str, Any] = {"locked_until": NOW + timedelta(microseconds=1)}


def test_a_key_that_nobody_took_is_a_new_one() -> None:
    assert judged(None, CLAIM, NOW) is None


@pytest.mark.parametrize("key", [ANSWERED, ANSWERED._replace(**RUNNING)])
def test_an_answer_is_given_again_as_it_was(key: Key) -> None:
    first = StoredAnswer(201, "application/json", b"{}")
    assert judged(key, CLAIM, NOW) == Replay(first, taken_at=ANSWERED.created_at)


def test_a_request_under_way_is_waited_for() -> None:
    with pytest.raises(KeyInFlight) as refused:
        judged(UNFINISHED._replace(**RUNNING), CLAIM, NOW)
    assert refused.value.extensions["retry_after_seconds"] == 1


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(seconds=1)])
def test_a_request_that_never_finished_is_gone_on_with(ago: timedelta) -> None:
    key = UNFINISHED._replace(locked_until=NOW - ago)
    assert judged(key, CLAIM, NOW) is key


@pytest.mark.parametrize("key", [ANSWERED, UNFINISHED, UNFINISHED._replace(**RUNNING)])
def test_another_request_with_the_same_key_is_refused_whatever_became_of_the_first(
    key: Key,
) -> None:
    with pytest.raises(KeyReused):
        judged(key, Claim(CLAIM.key, "something else"), NOW)


@pytest.mark.parametrize("key", [ANSWERED, UNFINISHED])
def test_a_request_whose_order_was_erased_does_not_take_effect_again(key: Key) -> None:
    with pytest.raises(KeyReused):
        judged(key._replace(fingerprint=ERASED_REQUEST, body=b""), CLAIM, NOW)
