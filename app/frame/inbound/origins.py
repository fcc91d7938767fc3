"""Which origins are ours: compared by scheme, host and port, not by how they are written.

The public URL is ours. Where it names this machine itself (a demonstration, a shop in the local
network), so are the machine's other names, at any port that leads to it: its cookies are theirs.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443}

_LOCAL_NAME: Final = re.compile(
    r"[a-z]([a-z0-9-]*[a-z0-9])?"  # one word: a machine of this network
    r"|([a-z0-9-]+\.)+(localhost|local|internal|home\.arpa)"
)
"""Names that no public name server answers for (RFC 6761, 6762, 8375), in plain letters."""

Origin = tuple[str, str, int]
"""Scheme, host, port."""


def origin_of(url: str) -> Origin | None:
    """The origin of an absolute http(s) URL; None for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme.lower()]
    except (ValueError, KeyError):
        return None
    host = (parts.hostname or "").removesuffix(".")
    return (parts.scheme.lower(), host, port) if host and parts.username is None else None


def is_own(origin: str, *, host: str, public_url: str) -> bool:
    """Whether an `Origin` is where the request was sent (`host`), or our public URL.

    What stands in front may have ended TLS: the scheme is the origin's own.
    """
    found = origin_of(origin)
    if found is None or urlsplit(origin).path.strip("/"):
        return False
    return found in (origin_of(f"{found[0]}://{host}"), origin_of(public_url))


def here(host: str, *, public_url: str) -> str:
    """The origin that a browser uses, when it is ours to lead back to; else the public one."""
    public = public_url.rstrip("/")
    used = f"{urlsplit(public).scheme}://{host.lower()}"
    plain = not set("/?#\\") & set(host)
    return used if plain and is_neighbour(used, public_url=public) else public


def is_neighbour(url: str, *, public_url: str) -> bool:
    """Whether a URL names the machine that the public URL names, with the same scheme.

    Both are then addresses of this machine or of the local network, which no name from outside is.
    The port may be another: a container's is mapped.
    """
    found, public = origin_of(url), origin_of(public_url)
    return (
        found is not None
        and public is not None
        and found[0] == public[0]
        and is_local(found[1])
        and is_local(public[1])
    )


def is_local(host: str) -> bool:
    """Whether a name or address is this machine's or the local network's."""
    try:
        address = ip_address(host)
    except ValueError:
        return _LOCAL_NAME.fullmatch(host) is not None
    if isinstance(address, IPv6Address):
        if address.sixtofour or address.teredo:
            return False  # another machine's address inside
        address = address.ipv4_mapped or address
    return not (address.is_global or address.is_multicast)
