"""Who is calling: cookie, synthetic proof, language, address; whatever anybody sends."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.contracts.client import ServiceClient
from app.frame.inbound.callers import caller_of, passed_on, preferred_language
from app.frame.inbound.synthetic import TOLERANCE_SECONDS, proves_synthetic, sign
from app.frame.platform import Platform
from app.frame.sessions import IDLE_SECONDS, Session, SessionCodec
from app.frame.start.service import new_api

NOW = 1_795_770_000
SESSION = Session(
    session_id="ses_1",
    started_at=NOW - 100,
    seen_at=NOW,
    market="SE",
    language="sv",
    campaign="winter",
    traffic="human",
)
CODEC = SessionCodec("a key")


def test_a_session_survives_its_cookie() -> None:
    assert CODEC.decode(CODEC.encode(SESSION), now=NOW + 1) == SESSION


def test_a_session_ends_after_thirty_idle_minutes() -> None:
    cookie = CODEC.encode(SESSION)

    assert CODEC.decode(cookie, now=NOW + IDLE_SECONDS) == SESSION
    assert CODEC.decode(cookie, now=NOW + IDLE_SECONDS + 1) is None
    assert CODEC.decode(CODEC.encode(SESSION.touched(NOW + 9)), now=NOW + IDLE_SECONDS + 1)


def test_every_changed_character_of_a_cookie_is_noticed() -> None:
    cookie = CODEC.encode(SESSION)
    changed = [
        cookie[:at] + ("A" if cookie[at] != "A" else "B") + cookie[at + 1 :]
        for at in range(len(cookie))
    ]

    assert [CODEC.decode(one, now=NOW) for one in changed] == [None] * len(cookie)


def test_a_truncated_foreign_huge_or_empty_cookie_is_no_session() -> None:
    cookie = CODEC.encode(SESSION)
    odd = [cookie[:length] for length in range(len(cookie))]
    odd += [SessionCodec("another key").encode(SESSION), cookie * 10, "x" * 100_000]

    assert {CODEC.decode(one, now=NOW) for one in [None, *odd]} == {None}


def test_a_cookie_of_an_older_version_begins_a_new_visit() -> None:
    import base64

    payload = base64.urlsafe_b64encode(b'{"session_id": "ses_1"}').rstrip(b"=")
    old = f"{payload.decode()}.{CODEC._signature(payload)}"

    assert CODEC.decode(old, now=NOW) is None


@given(st.text(max_size=300))
def test_no_cookie_at_all_can_break_the_codec(cookie: str) -> None:
    if cookie.isprintable():
        assert CODEC.decode(cookie, now=NOW) is None
    assert CODEC.decode(f"{cookie}.é", now=NOW) is None


def test_synthetic_is_who_can_sign_the_time() -> None:
    header = sign("key", NOW)
    judged = {
        "signed": proves_synthetic(header, "key", now=NOW),
        "a day old": proves_synthetic(header, "key", now=NOW + TOLERANCE_SECONDS),
        "too old": proves_synthetic(header, "key", now=NOW + TOLERANCE_SECONDS + 1),
        "from the future": proves_synthetic(header, "key", now=NOW - TOLERANCE_SECONDS - 1),
        "another key": proves_synthetic(header, "other", now=NOW),
        "another time": proves_synthetic(header.replace("1795", "1796"), "key", now=NOW),
        "nothing": proves_synthetic(None, "key", now=NOW),
        "leading zero": proves_synthetic(f"0{header}", "key", now=NOW),
    }

    assert [what for what, believed in judged.items() if believed] == ["signed", "a day old"]


@given(st.text(max_size=60))
def test_no_claim_without_a_signature_is_believed(header: str) -> None:
    assert proves_synthetic(header, "key", now=NOW) is False


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("sv", "sv"),
        ("sv-SE,sv;q=0.9,en;q=0.8", "sv"),
        ("en;q=0.4, sv;q=0.5", "sv"),
        ("de, fr;q=0.9, sv;q=0.1", "sv"),
        ("de", "en"),
        ("sv;q=0, en;q=0.1", "en"),
        ("sv;q=0", "en"),
        ("sv;q=nan", "en"),
        ("sv;q=2", "en"),
        ("sv;q=x, en", "en"),
        (";;;,,q=", "en"),
        ("sv" * 10_000, "en"),
    ],
)
def test_the_language_wanted_most_is_spoken(header: str, language: str) -> None:
    assert preferred_language(header) == language


@given(st.text())
def test_any_accept_language_gives_a_language(header: str) -> None:
    assert preferred_language(header) in {"en", "sv"}


def _echo(platform: Platform, trusted: str) -> ASGIApp:
    app = new_api(platform, name="echo", title="echo", prefix="/echo")

    @app.get("/who")
    async def who(request: Request) -> JSONResponse:
        caller = caller_of(request)
        return JSONResponse([caller.address_hash, caller.traffic, caller.session_id])

    return ProxyHeadersMiddleware(app, [trusted])  # type: ignore[arg-type, return-value]


async def _who(app: ASGIApp, client: str, **headers: str) -> list[str]:
    transport = httpx.ASGITransport(app, client=(client, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        found: list[str] = (await http.get("/who", headers=headers)).json()
        return found


async def test_only_a_trusted_proxy_says_for_whom_it_asks(platform: Platform) -> None:
    app = _echo(platform, "172.28.0.0/24")
    shopper = {"x-forwarded-for": "203.0.113.7"}

    direct = await _who(app, "203.0.113.7")
    through_gateway = await _who(app, "172.28.0.3", **shopper)
    spoofed = await _who(app, "198.51.100.1", **shopper)
    spoofed_in_front = await _who(
        app, "172.28.0.3", **{"x-forwarded-for": "10.9.9.9, 203.0.113.7, 172.28.0.9"}
    )

    assert direct == through_gateway == spoofed_in_front
    assert spoofed != direct
    assert "203" not in direct[0]


async def test_a_signed_session_keeps_the_traffic_that_was_proved(platform: Platform) -> None:
    app = _echo(platform, "127.0.0.1")
    now = int(platform.clock.now().timestamp())
    visit = Session(
        session_id="ses_9", started_at=now, seen_at=now, market="SE", language="sv",
        traffic="synthetic",
    )  # fmt: skip

    seen = await _who(app, "127.0.0.1", cookie=f"vitrine_session={platform.sessions.encode(visit)}")
    claimed = await _who(app, "127.0.0.1", **{"x-vitrine-synthetic": f"{now}.00"})

    assert (seen[1:], claimed[1:]) == (["synthetic", "ses_9"], ["human", ""])


def test_only_what_is_ours_is_passed_on() -> None:
    headers = {
        "cookie": "city=G\xf6teborg; vitrine_session=signed; __Host-vitrine_console=1.a.b; other=1",
        "accept-language": "sv-SE,sv;q=0.9",
        "x-forwarded-for": "203.0.113.9",
        "authorization": "Bearer secret",
    }
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    request = Request({"type": "http", "headers": raw, "client": ("192.0.2.7", 1)})

    assert passed_on(request, language="sv") == {
        "cookie": "vitrine_session=signed",
        "accept-language": "sv",
        "x-forwarded-for": "192.0.2.7",
    }


async def test_a_header_that_cannot_be_sent_is_left_out() -> None:
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(200, content=b"{}")

    async with httpx.AsyncClient(
        transport=httpx.MockTransport(answer), base_url="http://catalog"
    ) as http:
        odd = {"cookie": "a=\xf6", "x-forwarded-for": "a\r\nb", "accept-language": "sv"}
        await ServiceClient(http, odd).get("/x")

    assert {name for name in odd if name in seen[0]} == {"accept-language"}
    assert seen[0]["accept-language"] == "sv"
