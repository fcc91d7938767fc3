"""Customer data at rest: sealed with a key that can be rotated, in the one erasable table."""

from __future__ import annotations

import orjson
from cryptography.fernet import Fernet, MultiFernet

from app.contracts.checkout import Customer


class CustomerSeal:
    """Encrypts with the first key, decrypts with any: `new,old` rotates.

    Raises ValueError when a key is not a Fernet key.
    """

    def __init__(self, keys: str) -> None:
        self._fernet = MultiFernet([Fernet(key.strip()) for key in keys.split(",")])

    def seal(self, customer: Customer) -> bytes:
        return self._fernet.encrypt(orjson.dumps(customer.model_dump()))

    def open(self, sealed: bytes) -> Customer:
        return Customer.model_validate_json(self._fernet.decrypt(sealed))
