"""Whether a request is a buying agent's: signed by whom, for whom, when, and how often."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.frame.agents import AgentKey, thumbprint
from app.frame.inbound import agents
from app.frame.inbound.agents import OLDEST_SECONDS, SKEW_SECONDS, Agents, proves_agent
from app.frame.inbound.callers import caller_of
from app.frame.inbound.synthetic import sign
from app.frame.platform import Platform
from app.frame.sessions import Session
from app.frame.start.service import new_api
from app.kernel.clock import ManualClock
from telemetry.catalogue.frame import AgentProof
from tests.builders.agents import COVERED, BuyingAgent
from tests.builders.platform import KEYS, make_platform

URL = "https://shop.example/who?market=SE"
OTHER = f"https://other.example{BuyingAgent().directory.removeprefix('https://agent.example')}"


class Counted:
    """Asks a service who is calling, and what it counted meanwhile."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.app = _echo(platform)

    async def who(self, headers: dict[str, str], url: str = URL, method: str = "GET") -> str:
        """The traffic that the caller is, and what came of its signature."""
        before = self._counts()
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport) as http:
            traffic = (await http.request(method, url, headers=headers)).json()
        after = self._counts()
        results = [name for name in after if after[name] > before.get(name, 0)]
        return " ".join([traffic, *results])

    def _counts(self) -> dict[str, float]:
        registry = self.platform.registry.collector_registry
        return {
            sample.labels["result"]: sample.value
            for metric in registry.collect()
            for sample in metric.samples
            if sample.name == "agent_signatures_total"
        }


def _echo(platform: Platform) -> FastAPI:
    api = new_api(platform, name="advisor", title="echo", prefix="/echo")
    api.state.agents = Agents(platform, platform.telemetry("advisor"))

    @api.api_route("/who", methods=["GET", "POST"])
    async def who(request: Request) -> JSONResponse:
        first, traffic = proves_agent(request), caller_of(request).traffic
        assert proves_agent(request) is first  # asked twice, its nonce is spent once
        return JSONResponse(traffic)

    return api


@pytest.fixture
def agent() -> BuyingAgent:
    return BuyingAgent()


@pytest.fixture
def shop(tmp_path: Path, clock: ManualClock, agent: BuyingAgent) -> Counted:
    platform = make_platform(
        tmp_path,
        clock=clock,
        agent_directories=f"{agent.directory}, {OTHER}",
        public_url="https://shop.example",
    )
    platform.agents.learn(agent.directory, agent.keys)
    return Counted(platform)


async def test_a_signed_request_is_an_agent_s(
    shop: Counted, agent: BuyingAgent, clock: ManualClock
) -> None:
    assert await shop.who(agent.signed(URL, clock.now())) == "agent verified"
    assert await shop.who({}) == "human"


@pytest.mark.parametrize(
    ("covered", "sent"),
    [
        (("@authority", '"signature-agent";key="buyer"'), None),
        (("@target-uri", '"signature-agent";key="buyer"'), None),
        (("@authority", '"signature-agent";key="me"'), 'me="https://agent.example"'),
        (("@authority", "signature-agent"), '"https://agent.example"'),
    ],
    ids=["the least", "all of the address", "named otherwise", "as earlier drafts had it"],
)
async def test_what_the_drafts_ask_for_is_enough(
    shop: Counted,
    agent: BuyingAgent,
    clock: ManualClock,
    covered: tuple[str, ...],
    sent: str | None,
) -> None:
    headers = agent.signed(URL, clock.now(), covered=covered, agent=sent)
    assert await shop.who(headers) == "agent verified"


Made = Callable[[BuyingAgent, datetime], dict[str, str]]

WRONG: dict[str, tuple[Made, AgentProof]] = {
    "not whose it is": (lambda a, at: a.signed(URL, at, covered=("@authority",)), "incomplete"),
    "not for whom": (lambda a, at: a.signed(URL, at, covered=COVERED[2:]), "incomplete"),
    "no end": (lambda a, at: a.signed(URL, at, expires=None), "incomplete"),
    "no nonce": (lambda a, at: a.signed(URL, at, nonce=None), "incomplete"),
    "an endless nonce": (lambda a, at: a.signed(URL, at, nonce="n" * 201), "incomplete"),
    "no host": (lambda a, at: a.signed(URL, at, agent='buyer="agent.example"'), "incomplete"),
    "a parameter": (
        lambda a, at: a.signed(URL, at, agent=f'buyer="{a.directory}";x'),
        "incomplete",
    ),
    "who is not named": (
        lambda a, at: a.signed(URL, at, agent='buyer="https://third.example"'),
        "unknown_agent",
    ),
    "plain http": (
        lambda a, at: a.signed(URL, at, agent='buyer="http://agent.example"'),
        "unknown_agent",
    ),
    "a key that another publishes": (
        lambda a, at: a.signed(URL, at, agent=f'buyer="{OTHER}"'),
        "unknown_key",
    ),
    "a key that nobody publishes": (
        lambda a, at: BuyingAgent(a.directory).signed(URL, at),
        "unknown_key",
    ),
    "another key by this one's name": (
        lambda a, at: BuyingAgent(a.directory).signed(URL, at, key_id=a.key_id),
        "forged",
    ),
    "another page": (lambda a, at: a.signed("https://shop.example/cars", at), "forged"),
    "another method": (lambda a, at: a.signed(URL, at, method="POST"), "forged"),
    "another shop": (lambda a, at: a.signed("https://rival.example/who", at), "forged"),
    "another algorithm's name": (
        lambda a, at: {
            name: value.replace('alg="ed25519"', 'alg="hmac-sha256"')
            for name, value in a.signed(URL, at).items()
        },
        "forged",
    ),
    "too old": (
        lambda a, at: a.signed(URL, at - timedelta(seconds=OLDEST_SECONDS + 1), seconds=86_400),
        "out_of_time",
    ),
    "over": (lambda a, at: a.signed(URL, at - timedelta(seconds=61)), "out_of_time"),
    "not yet": (
        lambda a, at: a.signed(URL, at + timedelta(seconds=SKEW_SECONDS + 1)),
        "out_of_time",
    ),
    "no text": (lambda a, at: {**a.signed(URL, at), "signature-input": "()(;"}, "malformed"),
    "too long": (
        lambda a, at: {**a.signed(URL, at), "signature-input": "a=()," * 1000},
        "malformed",
    ),
    "no signature": (lambda a, at: {**a.signed(URL, at), "signature": ""}, "forged"),
    "half a signature": (
        lambda a, at: {**a.signed(URL, at), "signature": "buyer=:AAAA:"},
        "forged",
    ),
}


@pytest.mark.parametrize("what", WRONG)
async def test_what_proves_nothing_is_counted_and_served(
    shop: Counted, agent: BuyingAgent, clock: ManualClock, what: str
) -> None:
    made, result = WRONG[what]
    assert await shop.who(made(agent, clock.now())) == f"human {result}"


async def test_a_signature_for_something_else_is_none_of_this(
    shop: Counted, agent: BuyingAgent, clock: ManualClock
) -> None:
    assert await shop.who(agent.signed(URL, clock.now(), tag="payment")) == "human"


async def test_one_signature_proves_one_request(
    shop: Counted, agent: BuyingAgent, clock: ManualClock
) -> None:
    headers = agent.signed(URL, clock.now(), seconds=3600)

    first, again = await shop.who(headers), await shop.who(headers)
    clock.advance(seconds=OLDEST_SECONDS + 1)

    assert (first, again) == ("agent verified", "human replayed")
    assert await shop.who(headers) == "human out_of_time"


async def test_what_was_signed_for_a_host_of_this_name_elsewhere_holds_nothing(
    shop: Counted, agent: BuyingAgent, clock: ManualClock
) -> None:
    captured = agent.signed("https://rival.example/who", clock.now())
    assert await shop.who({**captured, "host": "rival.example"}) == "human forged"


async def test_an_agent_in_a_remote_browser_is_known_by_its_own_signature(
    shop: Counted, agent: BuyingAgent, clock: ManualClock
) -> None:
    browser = BuyingAgent("https://browsers.example/jwks.json").signed(
        URL, clock.now(), label="browser", agent='browser="https://browsers.example/jwks.json"',
        covered=("@authority", '"signature-agent";key="browser"'),
    )  # fmt: skip
    own = agent.signed(URL, clock.now())
    both = {name: f"{browser[name]}, {own[name]}" for name in own}

    assert await shop.who(both) == "agent verified unknown_agent"


async def test_a_rehearsal_is_no_agent_and_an_agent_is_no_robot(
    shop: Counted, agent: BuyingAgent, clock: ManualClock
) -> None:
    now = int(clock.now().timestamp())
    proof = {"x-vitrine-synthetic": sign(KEYS["synthetic_key"], now)}

    def visit(traffic: Any) -> dict[str, str]:
        session = Session(
            session_id="ses_1", started_at=now, seen_at=now, market="SE", language="sv",
            traffic=traffic,
        )  # fmt: skip
        return {"cookie": f"vitrine_session={shop.platform.sessions.encode(session)}"}

    def signed() -> dict[str, str]:
        return agent.signed(URL, clock.now())

    assert await shop.who({**signed(), **proof}) == "synthetic verified"
    assert await shop.who({**signed(), **visit("synthetic")}) == "synthetic verified"
    assert await shop.who({**signed(), **visit("bot")}) == "agent verified"
    assert await shop.who({**signed(), **visit("human")}) == "agent verified"
    assert await shop.who(visit("agent")) == "agent"


async def test_a_key_that_was_withdrawn_proves_nothing_any_more(
    shop: Counted, agent: BuyingAgent, clock: ManualClock
) -> None:
    shop.platform.agents.learn(agent.directory, {})
    assert await shop.who(agent.signed(URL, clock.now())) == "human unknown_key"


async def test_the_draft_s_own_example_holds(tmp_path: Path) -> None:
    """Appendix E.2 of draft-ietf-webbotauth-httpsig-protocol: both forms, by the RFC's key."""
    public = bytes.fromhex("26b40b8f93fff3d897112f7ebc582b232dbd72517d082fe83cfb30ddce43d1bb")
    created = datetime.fromtimestamp(1_735_689_600, UTC)
    platform = make_platform(
        tmp_path, clock=ManualClock(created), agent_directories="https://signature-agent.test"
    )
    (directory,) = platform.agents.directories
    key_id = thumbprint(public)
    key = AgentKey(Ed25519PublicKey.from_public_bytes(public))
    platform.agents.learn(directory, {key_id: key})
    says = f';created=1735689600;keyid="{key_id}";alg="ed25519"'

    dictionary = {
        "signature-agent": 'agent2="https://signature-agent.test"',
        "signature-input": f'sig2=("@authority" "signature-agent";key="agent2"){says}'
        ';expires=4889289600;nonce="n9p433xm+NJ3ph3upfBIGmsuwHw387YV7Q/F+6BSpGCVjYCqQw6rznNA8PVVLy'
        'SrAWsv0hQtFioQb6E1YsauiA==";tag="web-bot-auth"',
        "signature": "sig2=:RdNFx5Bj6au3YgAMQL/RzmUlZE8QZLIaXGRpw985hWnwPfMxT228NMk6ehRS1PSl4e8Phb"
        "NZACSanGdhEwYCCg==:",
    }
    legacy = {
        "signature-agent": '"https://signature-agent.test"',
        "signature-input": f'sig2=("@authority" "signature-agent"){says}'
        ';expires=1735693200;nonce="e8N7S2MFd/qrd6T2R3tdfAuuANngKI7LFtKYI/vowzk4lAZYadIX6wW25MwG7D'
        'CT9RUKAJ0qVkU0mEeLElW1qg==";tag="web-bot-auth"',
        "signature": "sig2=:jdq0SqOwHdyHr9+r5jw3iYZH6aNGKijYp/EstF4RQTQdi5N5YYKrD+mCT1HA1nZDsi6nJK"
        "uHxUi/5Syp3rLWBA==:",
    }
    shop = Counted(platform)
    found = [await shop.who(each, "https://example.com/who") for each in (dictionary, legacy)]

    assert found == ["agent verified"] * 2


async def test_no_more_signatures_are_tried_than_an_agent_needs(
    shop: Counted, agent: BuyingAgent, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def holds(label: str, *_: object) -> bool:
        tried.append(label)
        return False

    monkeypatch.setattr(agents, "_holds", holds)
    many = [
        agent.signed(URL, clock.now(), label=label, covered=("@authority", COVERED[3]))
        for label in ("a", "b", "c")
    ]
    headers = {name: ", ".join(each[name] for each in many) for name in many[0]}

    assert await shop.who(headers) == "human forged"
    assert tried == ["a", "b"]
