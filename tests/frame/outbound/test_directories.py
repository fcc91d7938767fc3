"""Agents' key directories, from real servers on loopback: learned, renewed, and never trusted."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.frame.outbound import directories
from app.frame.outbound.directories import AGAIN_SECONDS, FRESH_SECONDS, MOST_BYTES, is_public
from app.frame.platform import Platform
from app.kernel.clock import ManualClock
from app.kernel.errors import Unavailable
from tests.builders.agents import BuyingAgent, DirectoryServer
from tests.builders.platform import make_platform

pytestmark = pytest.mark.integration


@pytest.fixture
def server() -> Iterator[DirectoryServer]:
    with DirectoryServer.running() as found:
        yield found


@pytest.fixture
def agent(server: DirectoryServer) -> BuyingAgent:
    agent = BuyingAgent(server.url)
    server.body = agent.document()
    return agent


def _platform(
    folder: Path, clock: ManualClock, *urls: str, private: bool = True, environment: str = "test"
) -> Platform:
    return make_platform(
        folder,
        clock=clock,
        agent_directories=",".join(urls),
        agent_directories_private=private,
        environment=environment,
    )


@pytest.fixture
def platform(tmp_path: Path, clock: ManualClock, server: DirectoryServer) -> Platform:
    return _platform(tmp_path, clock, server.url)


def _knows(platform: Platform, agent: BuyingAgent) -> bool:
    now = platform.clock.now().timestamp()
    return platform.agents.key(agent.directory, agent.key_id, now) is not None


async def test_an_agent_s_keys_are_read_from_its_directory(
    platform: Platform, server: DirectoryServer, agent: BuyingAgent
) -> None:
    assert await platform.directories.refresh() == 1
    assert _knows(platform, agent)
    ((path, headers),) = server.asked
    assert path == "/.well-known/http-message-signatures-directory"
    assert server.url.split("/")[2] == headers["host"]
    assert headers["accept-encoding"] == "identity"


async def test_a_copy_is_renewed_when_it_is_old_and_not_before(
    platform: Platform, clock: ManualClock, server: DirectoryServer, agent: BuyingAgent
) -> None:
    asked = []
    for max_age, wait in (("7", FRESH_SECONDS[0]), ("600", 600), ("999999", FRESH_SECONDS[1])):
        server.headers = {"cache-control": f"public, max-age={max_age}"}
        await platform.directories.refresh()
        clock.advance(seconds=wait - 1)
        asked.append(await platform.directories.refresh())
        clock.advance(seconds=1)

    assert asked == [0, 0, 0]
    assert len(server.asked) == 3
    rotated = BuyingAgent(server.url)
    server.body = rotated.document()
    await platform.directories.refresh()
    assert (_knows(platform, agent), _knows(platform, rotated)) == (False, True)


async def test_the_last_good_copy_stays_while_a_directory_fails(
    platform: Platform, clock: ManualClock, server: DirectoryServer, agent: BuyingAgent
) -> None:
    await platform.directories.refresh()
    clock.advance(seconds=FRESH_SECONDS[1])
    server.status = 503
    with pytest.raises(Unavailable, match="it answers 503"):
        await platform.directories.refresh()
    clock.advance(seconds=AGAIN_SECONDS[0] - 1)

    assert await platform.directories.refresh() == 0  # not asked again at once
    clock.advance(seconds=1)
    with pytest.raises(Unavailable):
        await platform.directories.refresh()
    assert _knows(platform, agent)
    server.status = 200
    clock.advance(seconds=AGAIN_SECONDS[1])
    assert await platform.directories.refresh() == 1


async def test_one_that_is_down_keeps_nobody_else_waiting(
    tmp_path: Path, clock: ManualClock, server: DirectoryServer, agent: BuyingAgent
) -> None:
    with DirectoryServer.running() as gone:
        down = gone.url
    platform = _platform(tmp_path, clock, down, server.url)

    with pytest.raises(Unavailable) as told:
        await platform.directories.refresh()

    assert down in str(told.value)
    assert server.url not in str(told.value)
    assert _knows(platform, agent)


async def test_a_redirect_leads_nowhere(
    platform: Platform, server: DirectoryServer, agent: BuyingAgent
) -> None:
    server.status, server.headers = 302, {"location": server.url}
    with pytest.raises(Unavailable, match="it answers 302"):
        await platform.directories.refresh()
    assert len(server.asked) == 1
    assert not _knows(platform, agent)


async def test_a_directory_that_is_too_large_is_not_read_to_its_end(
    platform: Platform, server: DirectoryServer, agent: BuyingAgent
) -> None:
    server.body = agent.document() + b" " * MOST_BYTES
    with pytest.raises(Unavailable, match=f"larger than {MOST_BYTES}"):
        await platform.directories.refresh()
    assert not _knows(platform, agent)


async def test_a_directory_that_was_packed_is_not_unpacked(
    platform: Platform, server: DirectoryServer, agent: BuyingAgent
) -> None:
    server.body, server.headers = gzip.compress(agent.document()), {"content-encoding": "gzip"}
    with pytest.raises(Unavailable, match="no JSON Web Key Set"):
        await platform.directories.refresh()


async def test_a_directory_that_stalls_is_given_up(
    platform: Platform,
    server: DirectoryServer,
    agent: BuyingAgent,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(directories, "SECONDS", 0.2)
    server.stalls = threading.Event()
    with pytest.raises(Unavailable, match=server.url):
        await platform.directories.refresh()
    assert not _knows(platform, agent)


async def test_what_is_no_directory_changes_nothing(
    platform: Platform, clock: ManualClock, server: DirectoryServer, agent: BuyingAgent
) -> None:
    await platform.directories.refresh()
    server.body = b"<h1>Under construction</h1>"
    clock.advance(seconds=FRESH_SECONDS[1])
    with pytest.raises(Unavailable, match="no JSON Web Key Set"):
        await platform.directories.refresh()
    assert _knows(platform, agent)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_a_private_address_is_not_asked(
    tmp_path: Path, clock: ManualClock, server: DirectoryServer, host: str
) -> None:
    url = server.url.replace("127.0.0.1", host).replace("http:", "https:")
    platform = _platform(tmp_path, clock, url, private=False)
    with pytest.raises(Unavailable, match="into a private network"):
        await platform.directories.refresh()
    assert server.asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("64:ff9b::5db8:d822", True),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address to be refused
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.1.2.3", False),
        ("2002:0a01:0203::1", False),
        ("64:ff9b::a01:203", False),
        ("agent.example", False),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


async def test_services_of_one_process_ask_once(
    platform: Platform, server: DirectoryServer, agent: BuyingAgent
) -> None:
    import asyncio

    server.stalls = threading.Event()
    asking = [asyncio.create_task(platform.directories.refresh()) for _ in range(3)]
    while not server.asked:  # noqa: ASYNC110 - another thread's doing
        await asyncio.sleep(0.01)
    server.stalls.set()

    assert sorted(await asyncio.gather(*asking)) == [0, 0, 1]
