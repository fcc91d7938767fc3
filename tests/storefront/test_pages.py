"""Pages, through the storefront's real edge and the real services behind it."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import orjson
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.kernel.clock import ManualClock
from app.storefront.headers import SecurityHeaders
from app.storefront.main import build
from tests.builders.services import running
from tests.storefront.conftest import DETAILS, TUESDAY, Shopfront, available_car

pytestmark = pytest.mark.asyncio(loop_scope="session")

READABLE = (
    "",
    "/cars",
    "/models",
    "/models/norrsken",
    "/advisor",
    "/advisor/people",
    "/advisor/character",
    "/advisor/matches?seats=5&near=Solna",
    "/how-it-works",
    "/privacy",
    "/problems/hold-ended",
)


@pytest.mark.parametrize("path", READABLE)
@pytest.mark.parametrize(
    ("market", "language"), [("se", "sv"), ("no", "en"), ("dk", "sv"), ("fi", "en")]
)
async def test_every_page_is_there_in_every_market_and_language(
    shopfront: Shopfront, market: str, language: str, path: str
) -> None:
    async with shopfront.visitor() as visitor:
        page = await visitor.get(f"/{market}/{language}{path}")

    assert page.status_code == 200
    assert f'<html lang="{language}"' in page.text
    assert page.text.count("<h1") == 1


async def test_the_entrance_leads_where_the_browser_speaks_and_keeps_the_campaign(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor(**{"accept-language": "sv-FI"}) as visitor:
        entrance = await visitor.get("/?utm_campaign=advent")
        await visitor.get("/dk/en")
        again = await visitor.get("/")

    assert entrance.headers["location"] == "/fi/sv?utm_campaign=advent"
    assert again.headers["location"] == "/dk/en"


async def test_doors_without_a_market_lead_to_the_right_page(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        car_id = await available_car(visitor)
        doors = [f"/cars/{car_id}", "/cars", "/advisor", "/problems/hold-ended", "/SE", "/SE/EN"]
        led = [(await visitor.get(door)).headers["location"] for door in doors]

    assert led == [
        f"/se/en/cars/{car_id}",
        "/se/en/cars",
        "/se/en/advisor",
        "/se/en/problems/hold-ended",
        "/se/en",
        "/se/en",
    ]


async def test_a_visit_is_one_session_with_its_views(shopfront: Shopfront) -> None:
    agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148"
    async with shopfront.visitor(**{"user-agent": agent}) as visitor:
        await visitor.get("/se/sv?utm_campaign=advent")
        car_id = await available_car(visitor)
        await visitor.get(f"/se/en/cars/{car_id}")

    facts = [fact for fact in await shopfront.facts() if fact.get("campaign") == "advent"]
    seen = [(str(fact["type"]), fact["data"]) for fact in facts]
    assert seen[0][0] == "storefront.session.started"
    assert seen[0][1]["landing_page"] == "/{market}/{language}"  # type: ignore[index]
    views = [data["page"] for kind, data in seen if kind.endswith("viewed")]  # type: ignore[index]
    assert views == ["home", "cars", "car"]
    assert {fact["sessionid"] for fact in facts} == {facts[0]["sessionid"]}
    assert (facts[0]["device"], facts[0]["channel"], facts[0]["traffic"]) == (
        "phone",
        "web",
        "human",
    )


async def test_a_door_begins_no_visit_of_its_own(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        car_id = await available_car(visitor)
    async with shopfront.visitor() as visitor:
        before = len(await shopfront.facts())
        await visitor.get(f"/cars/{car_id}?utm_campaign=feed")
        await visitor.get("/nope")

        assert len(await shopfront.facts()) == before


async def test_the_list_is_filtered_and_says_how_to_get_on_when_it_is_empty(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as visitor:
        electric = await visitor.get("/se/en/cars?fuel=electric&body=suv&near=Solna")
        nothing = await visitor.get("/se/en/cars?body=van&max_price=1")

    facts = re.findall(r'class="card-facts">([^<]+)<', electric.text)
    assert facts
    assert all("Electric" in each for each in facts)
    assert "No car fits all of that today" in nothing.text
    assert 'href="/se/en/cars?body=van"' in nothing.text


async def test_pages_of_the_list_follow_each_other_without_repeats(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        first = await visitor.get("/se/en/cars")
        following = re.search(r'rel="next" href="([^"]+)"', first.text)
        assert following
        second = await visitor.get(following.group(1).replace("&amp;", "&"))

    cars = [set(re.findall(r"/se/en/cars/(car_\w+)", page.text)) for page in (first, second)]
    assert [len(page) for page in cars] == [18, 18]
    assert cars[0] & cars[1] == set()


async def test_a_car_page_tells_machines_what_it_tells_people(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        car_id = await available_car(visitor, "fuel=electric")
        page = await visitor.get(f"/se/en/cars/{car_id}")
        api = shopfront.services["catalog"].public
        car = (await api.get(f"/api/catalog/v1/cars/{car_id}")).json()

    found = re.search(r'<script type="application/ld\+json">(.+?)</script>', page.text)
    assert found
    said = orjson.loads(found.group(1))
    assert (said["@type"], said["name"]) == ("Car", car["title"])
    assert said["offers"]["price"] == f"{car['price']['amount'] / 100:.2f}"
    assert said["offers"]["priceCurrency"] == "SEK"
    for words in ("kWh/100 km", "WLTP", "ISOFIX", "VAT included", car["dealer"]["name"]):
        assert words in page.text


async def test_what_was_typed_is_escaped(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        page = await visitor.get("/se/en/cars?near=%3Cscript%3Ealert(1)%3C/script%3E&cursor=%22x")

    assert page.status_code == 200
    assert "<script>alert" not in page.text


async def test_missing_pages_are_in_the_house_style(shopfront: Shopfront) -> None:
    paths = ["/nope", "/se/sv/nope", "/se/de", "/se/sv/cars/car_nope", "/se/sv/models/nope"]
    async with shopfront.visitor(**{"accept-language": "sv"}) as visitor:
        pages = [await visitor.get(path) for path in paths]

    assert [page.status_code for page in pages] == [404] * len(paths)
    assert all("Den här sidan har kört sin väg" in page.text for page in pages)


async def test_every_answer_carries_the_security_headers(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        answers = [await visitor.get(path) for path in ("/se/en", "/nope", "/robots.txt")]

    for answer in answers:
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "unsafe" not in answer.headers["content-security-policy"]


async def test_a_form_may_lead_to_the_providers_page_and_nowhere_else() -> None:
    async def hello(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("hello")(scope, receive, send)

    policies = []
    for origin in ("", "https://checkout.stripe.com"):
        app = SecurityHeaders(hello, https=True, payment_origin=origin)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as browser:
            policies.append((await browser.get("/")).headers["content-security-policy"])

    assert "form-action 'self';" in policies[0]
    assert "form-action 'self' https://checkout.stripe.com;" in policies[1]


async def test_pages_hold_nothing_that_the_policy_forbids(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        pages = [(await visitor.get(f"/se/en{path}")).text for path in READABLE]

    for html in pages:
        assert " style=" not in html
        assert not re.search(r"<script(?! type=\"(module|application/ld\+json)\")", html)
        assert not re.search(r"\son\w+=", html)


async def test_cookies_are_for_us_alone(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        page = await visitor.get("/se/en")

    cookies = page.headers.get_list("set-cookie")
    assert len(cookies) == 2
    assert all("HttpOnly" in each and "SameSite=lax" in each for each in cookies)


async def test_pictures_and_files_may_be_kept_for_ever(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        page = await visitor.get("/se/en/cars")
        picture = re.search(r'<img src="([^"]+)"', page.text)
        style = re.search(r'rel="stylesheet" href="([^"]+)"', page.text)
        assert picture
        assert style
        answers = [await visitor.get(each.group(1)) for each in (picture, style)]
        odd = [
            await visitor.get(f"/assets/cars/x/{rest}")
            for rest in ("close/nope-000000.svg", "wide/suv-000000.svg", "close/suv-zzz.svg")
        ]

    assert [answer.headers["content-type"].split(";")[0] for answer in answers] == [
        "image/svg+xml",
        "text/css",
    ]
    assert all("immutable" in answer.headers["cache-control"] for answer in answers)
    assert [answer.status_code for answer in odd] == [404, 404, 404]


async def test_robots_and_the_sitemap_agree_on_what_is_there(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        robots = await visitor.get("/robots.txt")
        sitemap = await visitor.get("/sitemap.xml")
        names = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9"}
        urls = [
            str(node.text)
            for node in ET.fromstring(sitemap.text).findall("s:url/s:loc", names)  # noqa: S314 - our own answer
        ]
        statuses = {
            (await visitor.get(url)).status_code for url in urls if url.startswith("http://test/fi")
        }

    assert "Sitemap: http://test/sitemap.xml" in robots.text
    assert "Disallow: /se/sv/purchases" in robots.text
    assert "http://test/se/sv/models/norrsken" in urls
    assert statuses == {200}


async def test_consent_is_asked_once_and_marks_the_page_only_when_given(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as visitor:
        before = await visitor.get("/se/en")
        form = {"analytics": "granted", "back": "/se/en/cars?today=1"}
        answer = await visitor.post("/se/en/consent", data=form)
        after = await visitor.get("/se/en")
        away = await visitor.post(
            "/se/en/consent", data={"analytics": "refused", "back": "//evil.example"}
        )
        refused = await visitor.get("/se/en")

    assert ("data-analytics" in before.text, "May we measure" in before.text) == (False, True)
    assert answer.headers["location"] == "/se/en/cars?today=1"
    assert 'data-analytics="granted"' in after.text
    assert "May we measure" not in after.text
    assert away.headers["location"] == "/se/en"
    assert ("data-analytics" in refused.text, "May we measure" in refused.text) == (False, False)


async def test_a_form_of_another_site_is_refused(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        foreign = [
            await visitor.post("/se/en/consent", data={"analytics": "granted"}, headers=headers)
            for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"})
        ]
        own = await visitor.post(
            "/se/en/consent", data={"analytics": "granted"}, headers={"origin": "http://test"}
        )

    assert [answer.status_code for answer in foreign] == [403, 403]
    assert own.status_code == 303


async def test_the_advisor_asks_remembers_and_answers(shopfront: Shopfront) -> None:
    async with shopfront.visitor(**{"x-test": "advised"}) as visitor:
        await visitor.get("/se/en?utm_campaign=advised")
        step = await visitor.post("/se/en/advisor")
        steps = [
            {"seats": "5", "child_seats": "2"},
            {"luggage_litres": "550"},
            {"max_price": "65000000"},
            {"near": "Solna"},
            {"practical": "4"},
        ]
        for answers in steps:
            assert step.status_code == 303
            step = await visitor.post(step.headers["location"], data=answers)
        matches = await visitor.get(step.headers["location"])

    assert matches.status_code == 200
    assert re.search(r"<strong>\d+\s%</strong>", matches.text)
    assert "Trade-off:" in matches.text
    facts = [fact for fact in await shopfront.facts() if fact.get("campaign") == "advised"]
    kinds = [str(fact["type"]).removeprefix("storefront.") for fact in facts]
    assert kinds.count("advice.started") == 1
    answered = [
        fact["data"]["step"]  # type: ignore[index]
        for fact in facts
        if fact["type"] == "storefront.advice.step_answered"
    ]
    assert answered == ["people", "luggage", "budget", "place", "character"]
    assert kinds.count("match.viewed") == 1
    assert facts[-1]["entry"] == "advisor"


async def test_wishes_that_exclude_each_other_lead_to_ones_that_work(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        page = await visitor.get(
            "/se/en/advisor/matches?seats=7&max_price=30000000&fuels=electric&towing_kg=2000"
            "&utm_campaign=loosened"
        )
        loosened = re.search(r'class="ways plain"><li><a href="([^"]+)"', page.text)
        assert loosened
        found = await visitor.get(loosened.group(1).replace("&amp;", "&"))

    assert "No model does all of that" in page.text
    assert "Your best match" in found.text
    told = [
        (str(fact["type"]).removeprefix("storefront."), fact["entry"])
        for fact in await shopfront.facts()
        if fact.get("campaign") == "loosened"
    ]
    assert told == [
        ("session.started", "direct"),
        ("page.viewed", "direct"),  # advised is who was shown a car
        ("session.proven", "direct"),
        ("match.viewed", "advisor"),
        ("page.viewed", "advisor"),
    ]


async def test_a_catalogue_that_is_away_is_a_kind_page_or_a_missing_part(tmp_path: Path) -> None:
    """The storefront alone: no other service answers."""
    async with running(tmp_path, {"storefront": build}, clock=ManualClock(TUESDAY)) as services:
        service = services["storefront"].service
        service.platform.resolve = lambda name, internal: _away
        transport = httpx.ASGITransport(service.api, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as visitor:
            home = await visitor.get("/se/en")
            cars = await visitor.get("/se/en/cars")
            metrics = await services["storefront"].internal.get("/metrics")

    assert home.status_code == 200
    assert "Straight to the cars" in home.text
    assert cars.status_code == 503
    assert "One moment, please" in cars.text
    assert (
        'storefront_pages_degraded_total{peer_service="catalog",service="storefront"} 2.0'
        in metrics.text
    )


async def _away(scope: object, receive: object, send: object) -> None:
    raise ConnectionError("away")


ODD = (
    "%00",
    "%01",
    "%0d%0ax",
    "a%09b",
    "%3Flimit=1",
    "@",
    "%F0%9F%98%80",
    "%ff",
    "%2e%2e",
    "x" * 90,
)


@pytest.mark.parametrize(
    "address",
    [
        *("/cars/{}", "/se/en/cars/{}", "/se/en/models/{}", "/se/en/purchases/{}", "/{}/en"),
        *(
            "/se/en/purchases/{}/order",
            "/problems/{}",
            "/se/en/problems/{}",
            "/se/{}",
            "/static/{}",
        ),
    ],
)
async def test_what_cannot_be_there_is_a_missing_page(shopfront: Shopfront, address: str) -> None:
    async with shopfront.visitor() as browser:
        statuses = [(await browser.get(address.format(odd))).status_code for odd in ODD]

    assert set(statuses) == {404}


@pytest.mark.parametrize("page", ["order", "release", "feedback", "cancellation"])
async def test_a_form_to_a_purchase_that_cannot_be_is_a_missing_page(
    shopfront: Shopfront, page: str
) -> None:
    async with shopfront.visitor() as browser:
        statuses = [
            (await browser.post(f"/se/en/purchases/{odd}/{page}", data=DETAILS)).status_code
            for odd in ODD
        ]

    assert set(statuses) == {404}


async def test_a_monitor_that_asks_for_headers_is_no_visitor(shopfront: Shopfront) -> None:
    before = len(await shopfront.facts())
    async with shopfront.visitor() as monitor:
        answers = [
            await monitor.head(path) for path in ("/", "/se/sv", "/se/sv/cars", "/robots.txt")
        ]
        wrong = await monitor.head("/se/sv/consent")

    assert [answer.status_code for answer in answers] == [302, 200, 200, 200]
    assert {answer.content for answer in (*answers, wrong)} == {b""}
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "OPTIONS, POST")
    assert "vitrine_session" not in monitor.cookies
    assert len(await shopfront.facts()) == before


@pytest.mark.parametrize(
    ("address", "right"),
    [
        ("/SE/SV", "/se/sv"),
        ("/SE/sv/cars?today=1", "/se/sv/cars?today=1"),
        ("/No/EN/models/alken", "/no/en/models/alken"),
        ("/se/sv/cars/", "/se/sv/cars"),
        ("/se/sv/?x=1", "/se/sv?x=1"),
    ],
)
async def test_an_address_that_is_nearly_right_leads_to_the_right_one_of_ours(
    shopfront: Shopfront, address: str, right: str
) -> None:
    async with shopfront.visitor(host="evil.test") as browser:
        answer = await browser.get(address)

    assert (answer.is_redirect, answer.headers["location"]) == (True, right)


async def test_headers_that_no_header_can_carry_do_no_harm(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as browser:
        car = re.search(r"/se/en/cars/(car_\w+)", (await browser.get("/se/en/cars")).text)
        assert car is not None
        odd = {
            "cookie": "city=Göteborg; vitrine_session=é; vitrine_shop=å".encode(),
            "x-vitrine-synthetic": "é.ü".encode(),
            "accept-language": "sv, é;q=ä".encode(),
            "x-forwarded-for": "ü".encode(),
            "baggage": "stad=Göteborg".encode(),
        }
        page = await browser.get(
            f"/se/en/cars/{car.group(1)}", headers={k.encode(): v for k, v in odd.items()}
        )

    assert page.status_code == 200
