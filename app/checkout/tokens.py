"""An order's access token: derived from its id and stored nowhere, not even in a kept answer."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import Final, TypeVar

import orjson

from app.checkout.errors import OrderUnknown
from app.checkout.idempotency import StoredAnswer
from app.checkout.rows import Purchase

Bought = TypeVar("Bought", bound=Purchase)

_KEPT: Final = b'"order_token":"derived"'
"""Stands for the token in a stored answer. These bytes cannot come from a shopper: within a JSON
text a quotation mark is escaped."""


class OrderTokens:
    """Derives tokens with a secret key; a replayed or resumed request gets the same token."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def of(self, order_id: str) -> str:
        return hmac.new(self._key, order_id.encode(), hashlib.sha256).hexdigest()

    def hash_of(self, order_id: str) -> str:
        """What the order's row keeps, to compare with."""
        return _hash(self.of(order_id))

    def hidden(self, answer: StoredAnswer, order_id: str) -> StoredAnswer:
        """The answer as it is stored: without the token."""
        said = b'"order_token":"%s"' % self.of(order_id).encode()
        return replace(answer, body=answer.body.replace(said, _KEPT))

    def shown(self, answer: StoredAnswer) -> StoredAnswer:
        """A stored answer as it was first sent, byte for byte."""
        if _KEPT not in answer.body:
            return answer  # an error, or stored by a version that kept the token
        token = self.of(orjson.loads(answer.body)["order_id"])
        return replace(
            answer, body=answer.body.replace(_KEPT, b'"order_token":"%s"' % token.encode())
        )


def for_holder(purchase: Bought | None, token: str) -> Bought:
    """The order, for whoever has its token; raises `OrderUnknown` for anybody else."""
    if purchase is None or not hmac.compare_digest(purchase.order.token_hash, _hash(token)):
        raise OrderUnknown("There is no such order, or the token does not fit it.")
    return purchase


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
