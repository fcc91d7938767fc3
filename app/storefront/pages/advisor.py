"""The advisor: questions one by one, then the best match and the next ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.contracts.advisor import Match, MatchResponse, Relaxation
from app.contracts.catalog import Model
from app.contracts.events import (
    AdviceStarted,
    AdviceStepAnswered,
    FeedbackGiven,
    MatchViewed,
    PageViewed,
)
from app.contracts.wire import MoneyWire
from app.storefront import cookies
from app.storefront.cards import Card, card_of
from app.storefront.cookies import DAY, Cookie
from app.storefront.errors import PageMissing
from app.storefront.filters import City, cities_of
from app.storefront.pages.page import Front, Page
from app.storefront.pages.purchase import form_of
from app.storefront.pages.scores import score
from app.storefront.pictures import subject_of_model
from app.storefront.questions import (
    BUDGETS,
    CODES,
    STEPS,
    Answers,
    match_request,
    merged,
    read_answers,
    relaxed,
)
from app.storefront.texts import msg
from app.storefront.vocabulary import FUELS, NEEDS


@dataclass(frozen=True, slots=True)
class ExactCar:
    """A car of the model at a dealer, and why this one."""

    why: str
    card: Card


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One match as the page shows it."""

    match: Match
    percent: str
    picture: str
    alt: str
    cars: list[ExactCar]


@dataclass(frozen=True, slots=True)
class Loosening:
    """One relaxation as a link."""

    text: str
    address: str
    cars: int


WHY = {
    "nearest": msg("Nearest to you"),
    "cheapest": msg("Lowest price"),
    "ready_today": msg("Keys today"),
    "colour": msg("In your colour"),
}


def routes(front: Front) -> APIRouter:
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get("/{market}/{language}/advisor", summary="The advisor's welcome")
    async def welcome(request: Request, market: str, language: str) -> Response:
        page = front.open(request, market, language)
        return page.render("advisor.html", view=PageViewed("advisor"), steps=STEPS)

    @router.post("/{market}/{language}/advisor", summary="Begin with the advisor")
    async def begin(request: Request, market: str, language: str) -> Response:
        page = front.open(request, market, language)
        page.visit = page.visit.with_entry("advisor")
        page.record(AdviceStarted(page.visit.session.session_id))
        return page.redirect(page.url(f"/advisor/{CODES[0]}"))

    @router.get("/{market}/{language}/advisor/matches", summary="The advisor's matches")
    async def matches(request: Request, market: str, language: str) -> Response:
        page = front.open(request, market, language)
        answers = read_answers(request.query_params.multi_items())
        return await _matches_page(page, answers)

    @router.post(
        "/{market}/{language}/advisor/matches/feedback", summary="What the shopper thought of it"
    )
    async def feedback(request: Request, market: str, language: str) -> Response:
        page = front.open(request, market, language)
        csat = score((await form_of(request)).get("csat"), 1, 5)
        session = page.visit.session
        if csat is not None and session.advice and not session.rated:
            page.record(FeedbackGiven("advice", csat=csat, advice_id=session.advice))
            page.visit = page.visit.with_rating()
        answers = read_answers(request.query_params.multi_items())
        return page.again(page.url("/advisor/matches", answers.query()) + "#feedback")

    @router.get("/{market}/{language}/advisor/{step}", summary="One of the advisor's questions")
    async def question(request: Request, market: str, language: str, step: str) -> Response:
        page = front.open(request, market, language)
        index = _index(step)
        return page.render(
            "question.html",
            view=PageViewed("advisor_question"),
            step=STEPS[index],
            steps=STEPS,
            index=index,
            answers=read_answers(request.query_params.multi_items()),
            state=request.url.query,
            budgets=_budgets(page),
            cities=list((await _cities(page)).values()) if step == "place" else [],
        )

    @router.post("/{market}/{language}/advisor/{step}", summary="Answer one of the questions")
    async def answer(request: Request, market: str, language: str, step: str) -> Response:
        page = front.open(request, market, language)
        index = _index(step)
        before = read_answers(request.query_params.multi_items())
        async with request.form(max_files=0, max_fields=60) as form:
            pairs = [(n, v) for n, v in form.multi_items() if isinstance(v, str)]
        answers = merged(before, STEPS[index], pairs)
        page.visit = page.visit.with_entry("advisor")
        page.record(AdviceStepAnswered(step))
        following = CODES[index + 1] if index + 1 < len(CODES) else "matches"
        return page.redirect(page.url(f"/advisor/{following}", answers.query()))

    return router


async def _matches_page(page: Page, answers: Answers) -> Response:
    cities = await _cities(page)
    models = await page.part("catalog", page.front.range.models()) or {}
    asked = match_request(answers, page.place, cities)
    response = await page.shop.advisor.match(asked)
    if not page.is_again:  # its own form leads back to it: the shopper has this advice already
        _advised(page, response)
    suggestions = [_suggestion(page, match, models) for match in response.matches]
    return page.render(
        "matches.html",
        view=PageViewed("matches"),
        answers=answers,
        best=suggestions[0] if suggestions else None,
        others=suggestions[1:],
        loosenings=_loosenings(page, answers, response),
        steps=STEPS,
        rating=_rating(page, response),
    )


def _rating(page: Page, response: MatchResponse) -> Literal["asked", "given", ""]:
    """Whether to ask what the shopper thought of the advice, once in a visit, or to thank them."""
    session = page.visit.session
    if session.rated:
        return "given" if page.is_again else ""
    return "asked" if response.matches and session.advice else ""


def _advised(page: Page, response: MatchResponse) -> None:
    """What the visit is from here on; who was shown no car goes on straight to stock."""
    if response.matches:
        page.visit = page.visit.with_entry("advisor").with_advice(response.advice_id)
        page.keep(Cookie(cookies.ADVICE, response.advice_id, DAY))
        page.record(MatchViewed(response.advice_id))
    elif cookies.ADVICE not in page.request.cookies:
        page.visit = page.visit.with_entry("direct")


def _suggestion(page: Page, match: Match, models: dict[str, Model] | object) -> Suggestion:
    known = models if isinstance(models, dict) else {}
    chosen: dict[str, ExactCar] = {}
    for name, why in WHY.items():
        car = getattr(match.cars, name)
        if car is None:
            continue
        text = page.texts.gettext(why)
        earlier = chosen.get(car.car_id)
        if earlier is not None:
            text = f"{earlier.why} · {text}"
        chosen[car.car_id] = ExactCar(text, card_of(car, known, page.formats))
    first = next(iter(chosen.values()), None)
    paint = match.model.paints[0].hex if match.model.paints else None
    return Suggestion(
        match=match,
        percent=page.formats.percent(match.score),
        picture=first.card.portrait if first else subject_of_model(match.model).url(paint),
        alt=first.card.alt if first else match.model.name,
        cars=list(chosen.values()),
    )


def _loosenings(page: Page, answers: Answers, response: MatchResponse) -> list[Loosening]:
    found = []
    for relaxation in response.relaxations:
        query = relaxed(answers, relaxation)
        if query is not None:
            address = page.url("/advisor/matches", query)
            found.append(Loosening(_words(page, relaxation), address, relaxation.cars))
    return found


def _words(page: Page, relaxation: Relaxation) -> str:
    """`seats: 7 → 5` in the shopper's words."""
    gettext = page.texts.gettext
    need = gettext(NEEDS.get(relaxation.need, relaxation.need))
    before, after = (
        _value(page, relaxation.need, value) for value in (relaxation.from_, relaxation.to)
    )
    return gettext("%(need)s: %(before)s → %(after)s") % {
        "need": need[:1].upper() + need[1:],
        "before": before,
        "after": after,
    }


def _value(page: Page, need: str, value: object) -> str:
    gettext = page.texts.gettext
    if value is None or value == []:
        return gettext("open")
    if isinstance(value, list):
        return ", ".join(gettext(FUELS.get(str(item), str(item))) for item in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if need == "max_price":
        return page.formats.money(MoneyWire(amount=int(value), currency=page.place.currency))
    unit = {"luggage_litres": " l", "towing_kg": " kg", "min_range_km": " km"}.get(need, "")
    return page.formats.number(value, 0) + unit


def _budgets(page: Page) -> list[tuple[str, str]]:
    currency = page.place.currency
    return [
        (str(amount), page.formats.money(MoneyWire(amount=amount, currency=currency)))
        for amount in BUDGETS[currency]
    ]


def _index(step: str) -> int:
    if step not in CODES:
        raise PageMissing("There is no such question.")
    return CODES.index(step)


async def _cities(page: Page) -> dict[str, City]:
    dealers = await page.part("catalog", page.front.range.dealers(page.place.market))
    return cities_of(dealers or [])
