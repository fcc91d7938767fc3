"""Customer data at rest: sealed with a key that can be rotated, found again by a blind index."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from typing import Final

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app.contracts.checkout import Customer


class NotOpened(Exception):
    """None of the keys opens this: the one it was sealed with is missing, or it is damaged."""


class CustomerSeal:
    """Encrypts with the first key, decrypts with any: `new,old` rotates.

    Raises ValueError when a key is not a Fernet key.
    """

    def __init__(self, keys: str) -> None:
        fernets = [Fernet(key.strip()) for key in keys.split(",")]
        self._newest = fernets[0]
        self._fernet = MultiFernet(fernets)

    def seal(self, customer: Customer) -> bytes:
        return self._newest.encrypt(orjson.dumps(customer.model_dump()))

    def open(self, sealed: bytes) -> Customer:
        """Raises `NotOpened`."""
        try:
            return Customer.model_validate_json(self._fernet.decrypt(sealed))
        except InvalidToken as error:
            raise NotOpened from error

    def is_newest(self, sealed: bytes) -> bool:
        """Whether this was sealed with the newest key."""
        try:
            self._newest.decrypt(sealed)
        except InvalidToken:
            return False
        return True


class CustomerIndex:
    """Finds a customer's orders by e-mail without opening what is sealed: a blind index.

    A keyed hash of the address: equal addresses have equal ones, and without the key nobody can
    try addresses. It begins with the key's own number, so that what another key made is known as
    such and looked at one by one.
    """

    def __init__(self, key: str) -> None:
        self._key = hmac.new(key.encode(), b"vitrine customer index", hashlib.sha256).digest()
        self._pseudonyms = hmac.digest(key.encode(), b"vitrine customer pseudonym", "sha256")
        self.prefix = f"{hashlib.sha256(self._key).hexdigest()[:8]}."

    def of(self, email: str) -> str:
        digest = hmac.digest(self._key, normalised(email).encode(), "sha256")
        return f"{self.prefix}{digest.hex()[:INDEX_DIGITS]}"

    def pseudonym(self, email_index: str | None) -> str:
        """By what name facts know the customer whose row has this index; "" for another key's.

        Made of the index, so that nothing is opened, and by another key, so that without it nobody
        can tell which row it is of.
        """
        if not (email_index or "").startswith(self.prefix):
            return ""
        digest = hmac.digest(self._pseudonyms, str(email_index).encode(), "sha256")
        return f"cus_{digest.hex()[:PSEUDONYM_DIGITS]}"


INDEX_DIGITS: Final = 48
"""Of the hash in hexadecimal: 192 bits, far more than there are customers."""

PSEUDONYM_DIGITS: Final = 32
"""128 bits: of a billion customers no two share one."""


def normalised(email: str) -> str:
    """How an address is compared: as most providers do, without regard to case or width."""
    return unicodedata.normalize("NFKC", email.strip()).casefold()
