"""Whose network address it is, as far as one caller can be told from another by it."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

_HOSTS_OF_ONE: Final = 2**64
"""A subscriber has a whole /64 of IPv6 (RFC 6177) and uses all of it at will (RFC 7934)."""


@lru_cache(maxsize=8192)
def network_of(host: str) -> str:
    """What limits count by: an IPv4 address, the /64 of an IPv6 one; other text as it is.

    An IPv4 address written as IPv6 (`::ffff:192.0.2.1`, a dual-stack socket's way) is IPv4.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) // _HOSTS_OF_ONE * _HOSTS_OF_ONE)}/64"
