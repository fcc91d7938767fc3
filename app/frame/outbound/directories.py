"""Agents' key directories: fetched beside the requests, from the hosts that an operator named.

A directory is another company's server, so nothing of it is taken on trust: not its size, not how
long it takes, not where it leads. The last good copy stays while a directory fails; one that
answers replaces all of it, which is how a key that was withdrawn stops to count.
"""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from ssl import SSLContext
from typing import Final

import httpx

from app.frame.agents import KnownAgents, NoDirectory, read_directory
from app.kernel.clock import Clock
from app.kernel.errors import Unavailable

SECONDS: Final = 10.0
"""For one directory, from its name to its last byte."""
MOST_BYTES: Final = 64 * 1024
FRESH_SECONDS: Final = (300, 3600)
"""How soon and how late a copy is renewed, whatever `max-age` says."""
AGAIN_SECONDS: Final = (60, 900)
"""How soon a directory that failed is asked again, and how late after many times."""
ACCEPT: Final = "application/http-message-signatures-directory+json, application/jwk-set+json"

_NAT64: Final = IPv6Network("64:ff9b::/96")


Copy = tuple[bytes, int]
"""A directory's document, and for how many seconds it is fresh."""


@dataclass(slots=True)
class _Next:
    """When a directory is asked (Unix seconds), and how often it has failed since it answered."""

    at: float = 0.0
    failed: int = 0


class Directories:
    """Keeps what `agents` knows up to date."""

    def __init__(self, agents: KnownAgents, clock: Clock, *, private: bool) -> None:
        self._agents = agents
        self._clock = clock
        self._private = private
        self._next = {address: _Next() for address in agents.directories}
        self._asking = asyncio.Lock()

    async def refresh(self) -> int:
        """Ask the directories that are due; how many.

        Raises `Unavailable` with those that could not be read. Services of one process share this:
        the first one asks.
        """
        async with self._asking:
            now = self._clock.now().timestamp()
            due = [address for address, following in self._next.items() if following.at <= now]
            failures = await asyncio.gather(*(self._renew(address) for address in due))
        told = "; ".join(failure for failure in failures if failure)
        if told:
            raise Unavailable(f"agents' key directories: {told}")
        return len(due)

    async def _renew(self, address: str) -> str:
        """Learn a directory's keys; why not, if not."""
        following, now = self._next[address], self._clock.now().timestamp()
        try:
            async with asyncio.timeout(SECONDS):
                document, fresh_seconds = await self._fetch(httpx.URL(address))
            self._agents.learn(address, read_directory(document))
        except (httpx.HTTPError, OSError, TimeoutError, NoDirectory) as error:
            soonest, latest = AGAIN_SECONDS
            following.at = now + min(latest, soonest * 2 ** min(following.failed, 10))
            following.failed += 1
            return f"{address}: {str(error) or type(error).__name__}"
        following.at, following.failed = now + fresh_seconds, 0
        return ""

    async def _fetch(self, url: httpx.URL) -> Copy:
        """What the directory answers, from an address that was looked at before it was used."""
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await asyncio.get_running_loop().getaddrinfo(
            url.host, port, type=socket.SOCK_STREAM
        )
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        if not self._private and not all(is_public(each) for each in addresses):
            raise NoDirectory("its name leads into a private network")
        async with httpx.AsyncClient(
            verify=self._trusted, trust_env=False, follow_redirects=False, timeout=SECONDS
        ) as client:
            for number, address in enumerate(addresses):
                try:
                    return await _read(client, url, address)
                except httpx.ConnectError:
                    if number == len(addresses) - 1:
                        raise
        raise NoDirectory("its name leads nowhere")

    @cached_property
    def _trusted(self) -> SSLContext:
        return httpx.create_ssl_context()


async def _read(client: httpx.AsyncClient, url: httpx.URL, address: str) -> Copy:
    """The body as it came over the wire; the certificate must be the name's."""
    request = client.build_request(
        "GET",
        url.copy_with(host=address),
        headers={"host": url.netloc.decode(), "accept": ACCEPT, "accept-encoding": "identity"},
        extensions={"sni_hostname": url.host},
    )
    answer = await client.send(request, stream=True)
    try:
        if answer.status_code != 200:
            raise NoDirectory(f"it answers {answer.status_code}")
        body = bytearray()
        async for chunk in answer.aiter_raw():
            body += chunk
            if len(body) > MOST_BYTES:
                raise NoDirectory(f"it is larger than {MOST_BYTES} bytes")
    finally:
        await answer.aclose()
    return bytes(body), _fresh_seconds(answer.headers.get("cache-control", ""))


def _fresh_seconds(cache_control: str) -> int:
    found = re.search(r"max-age=(\d{1,9})", cache_control)
    soonest, latest = FRESH_SECONDS
    return max(soonest, min(latest, int(found[1]))) if found else latest


def is_public(address: str) -> bool:
    """Whether an address is on the public internet, whatever other address it has inside."""
    try:
        found = ip_address(address)
    except ValueError:
        return False  # with a zone: of this link
    inner: IPv4Address | IPv6Address | None = None
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if found in _NAT64:
            inner = IPv4Address(int(found) & 0xFFFFFFFF)
    return all(
        each.is_global and not each.is_multicast for each in (found, inner) if each is not None
    )
