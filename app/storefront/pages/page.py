"""What every page is made with: the shop front, and one page of one visit."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.contracts.checkout import Hold
from app.contracts.client import UpstreamProblem
from app.contracts.events import (
    PageViewed,
    SessionProven,
    SessionStarted,
    SessionSuspected,
    VisitorForgotten,
)
from app.frame.data.behaviour import Behaviour
from app.frame.inbound import problems
from app.frame.inbound.agents import proves_agent
from app.frame.inbound.callers import caller_of, passed_on
from app.frame.inbound.edge import HEAD
from app.frame.inbound.limits import Counters, Limits
from app.frame.inbound.origins import here, is_neighbour, is_own
from app.frame.inbound.synthetic import HEADER, proves_synthetic
from app.frame.platform import Platform
from app.frame.sessions import COOKIE, IDLE_SECONDS, LABELS
from app.kernel.errors import Unavailable
from app.kernel.facts import EventContext, Fact
from app.kernel.ids import new_id
from app.storefront import cookies, vocabulary
from app.storefront.acquisition import CLICK_IDS, referring_host
from app.storefront.cookies import DAY, Cookie
from app.storefront.errors import ForeignForm, PageMissing
from app.storefront.formats import Formats, formats_of
from app.storefront.gateways import Connections, Range, Shop
from app.storefront.pictures import Pictures
from app.storefront.places import LANGUAGES, PLACES, Place
from app.storefront.settings import StorefrontSettings
from app.storefront.signals import Signals
from app.storefront.static import Assets
from app.storefront.texts import Texts, load_texts
from app.storefront.visits import Arrival, Visit, visit
from telemetry.catalogue.outcomes import Outcome
from telemetry.routes import route_template
from telemetry.tracing import current_traceparent

TEMPLATES: Final = Path(__file__).parent.parent / "templates"
PRIVATE: Final = "private, no-cache"
UNKEPT: Final = "no-store"
"""For pages with personal details: not even the browser's own cache keeps them."""

DRIVEN: Final = "driven"
"""In the address by which a script tells that a program drives its browser."""

MOST_PAGES_A_MINUTE: Final = 60
"""A person who opens a page every second for a minute is none."""

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Front:
    """The shop front of one process."""

    platform: Platform
    settings: StorefrontSettings
    assets: Assets
    connections: Connections
    range: Range
    pictures: Pictures
    behaviour: Behaviour
    signals: Signals
    limits: Limits
    paces: Counters
    """Pages of each visit in this minute."""
    seen: Counters
    """Visits in this minute whose first page was seen: each is told of once."""
    environments: Mapping[str, tuple[Texts, Environment]]

    @property
    def secure(self) -> bool:
        return self.platform.settings.public_url.startswith("https:")

    def origin(self, request: Request) -> str:
        return self.platform.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")

    def open(self, request: Request, market: str, language: str) -> Page:
        """Begin a page: whose visit it is, in which market and language.

        Raises `PageMissing` for a market or language that is not open, `ForeignForm` for a form
        that another site sent.
        """
        place = PLACES.get(market)
        if place is None or language not in LANGUAGES:
            raise PageMissing("There is no such market or language.")
        if request.method == "POST":
            _check_origin(request, self.platform.settings.public_url)
        page = self._page(request, place, language)
        if HEAD in request.scope:  # a monitor or link checker: nobody looks at a page
            page.visit = replace(page.visit, changed=False)
            return page
        page.recognise()
        if page.visit.started:
            if not self._counts(request, page.visit):
                page.visit = page.visit.uncounted()
            landing = route_template(request.scope)
            session = page.visit.session
            page.record(
                SessionStarted(
                    session.session_id,
                    landing,
                    channel_group=session.channel_group,
                    utm_source=session.source,
                    utm_medium=session.medium,
                    awaits_proof=True,
                )
            )
        elif not page.visit.session.proven:
            page.record(SessionProven(page.visit.session.session_id))
            page.visit = page.visit.with_proof()
        if self.paces.wait(page.visit.session.session_id, MOST_PAGES_A_MINUTE) > 0:
            page.suspect("pace")
        page.remember_click()
        here = f"{place.slug}/{language}"
        if request.cookies.get(cookies.SHOP) != here:
            page.keep(Cookie(cookies.SHOP, here, 365 * DAY))
        return page

    def see(self, request: Request) -> None:
        """Whoever asks for what a visit's first page shows has got that page's cookie.

        It sets no cookie: it may come after a form's answer that changed the session's.
        """
        now = int(self.platform.clock.now().timestamp())
        session = self.platform.sessions.decode(request.cookies.get(COOKIE), now=now)
        if HEAD in request.scope or session is None or not session.counted:
            return
        told: list[Fact] = []
        if not session.proven:
            told.append(SessionProven(session.session_id))
        if DRIVEN in request.query_params and session.traffic == "human":
            told.append(SessionSuspected(session.session_id, "webdriver"))
        context = self.context_of(Visit(session, started=False, changed=False))
        for fact in told:
            if self.seen.wait(f"{session.session_id} {fact.TYPE}", 1) == 0:
                self.behaviour.record(fact, context)

    def context_of(self, visit: Visit) -> EventContext:
        """The context of a fact that is stated during this request."""
        return visit.context(release=self.platform.version, traceparent=current_traceparent() or "")

    def _counts(self, request: Request, visit: Visit) -> bool:
        """Whether one more visit from this network is believed; robots take nothing from people."""
        caller = replace(caller_of(request), traffic=visit.session.traffic)
        return self.limits.allow("sessions", "address", caller, self.settings.sessions_per_address)

    def open_quietly(self, request: Request, market: str, language: str) -> Page:
        """A page that says what went wrong: it begins no visit and sets no cookie."""
        page = self._page(request, PLACES[market], language)
        page.visit = replace(page.visit, changed=False)
        return page

    def _page(self, request: Request, place: Place, language: str) -> Page:
        jar = request.cookies
        platform = self.platform
        now = platform.clock.now()
        at = int(now.timestamp())
        arrival = Arrival(
            at=at,
            market=place.market,
            language=language,
            user_agent=request.headers.get("user-agent", "")[:500],
            labels={name: request.query_params.get(f"utm_{name}", "") for name in LABELS},
            click_ids=CLICK_IDS.keys() & request.query_params.keys(),
            referrer=self._referrer(request),
            synthetic=proves_synthetic(
                request.headers.get(HEADER), platform.settings.synthetic_key, now=at
            ),
            agent=proves_agent(request),
            consent=cookies.read_consent(jar.get(cookies.CONSENT)),
        )
        known = platform.sessions.decode(jar.get(COOKIE), now=at)
        texts, _ = self.environments[language]
        return Page(
            front=self,
            request=request,
            place=place,
            texts=texts,
            formats=formats_of(place, texts, now),
            visit=visit(known, arrival),
            holds=cookies.read_holds(jar.get(cookies.HOLD), now=at),
        )

    def _referrer(self, request: Request) -> str:
        """The host that led here; empty for our own, and for the way back from a payment.

        A bank or a provider between two pages of a purchase has brought nobody.
        """
        public_url = self.platform.settings.public_url
        sent = request.headers.get("referer", "")[:2000]
        of_a_purchase = request.url.path.split("/")[3:4] == ["purchases"]
        if of_a_purchase or is_neighbour(sent, public_url=public_url):
            return ""
        own = {request.url.hostname or "", urlsplit(public_url).hostname or ""}
        return referring_host(sent, own=own)


@dataclass(slots=True)
class Page:
    """One request's page, as handlers and templates use it."""

    front: Front
    request: Request
    place: Place
    texts: Texts
    formats: Formats
    visit: Visit
    holds: tuple[cookies.HoldNote, ...]
    """What the shopper holds, as the cookie remembers it."""
    _cookies: list[Cookie] = field(default_factory=list)

    @property
    def language(self) -> str:
        return self.texts.language

    @property
    def shop(self) -> Shop:
        """The other services on behalf of this visit."""
        session = self.front.platform.sessions.encode(self.visit.session)
        return self.front.connections.on_behalf_of(
            passed_on(self.request, language=self.language, session=session)
        )

    def url(self, path: str = "", query: str | Mapping[str, Any] = "") -> str:
        """An address in this market and language, `/se/sv/cars?today=1`."""
        text = query if isinstance(query, str) else urlencode(query, doseq=True)
        return f"/{self.place.slug}/{self.language}{path}{'?' if text else ''}{text}"

    def elsewhere(self, market: str | None = None, language: str | None = None) -> str:
        """This very page in another market or language (only what stays true in both)."""
        tail = self.tail
        if market and market != self.place.slug and not _everywhere(tail):
            tail = ""
        asked = self.request.method == "GET" and language and not market
        query = self.request.url.query if asked else ""
        path = f"/{market or self.place.slug}/{language or self.language}"
        return f"{path}{'/' if tail else ''}{tail}{'?' if query else ''}{query}"

    @property
    def tail(self) -> str:
        """What follows market and language: of a form's answer, the page that the form was on."""
        tail = [*self.request.url.path.split("/", 3), "", ""][3]
        if self.request.method == "GET":
            return tail
        parts = tail.split("/")
        return "/".join(parts[:2]) if parts[0] == "purchases" and len(parts) > 1 else ""

    @property
    def here(self) -> str:
        """This page's address, to come back to."""
        return self.elsewhere(None, self.language)

    def back_to(self, address: str) -> str:
        """An address of ours where this browser keeps its cookies, for the payment to lead back."""
        request = self.request
        public = self.front.platform.settings.public_url
        return f"{here(request.headers.get('host', ''), public_url=public)}{address}"

    @property
    def canonical(self) -> str:
        return f"{self.front.origin(self.request)}{self.request.url.path}"

    def alternates(self) -> list[tuple[str, str]]:
        """(hreflang, address) of this page in every language, market by market where it exists."""
        origin = self.front.origin(self.request)
        markets = PLACES if _everywhere(self.tail) else [self.place.slug]
        return [
            (
                f"{language}-{PLACES[market].market}",
                f"{origin}{self.elsewhere(market, language)}",
            )
            for market in markets
            for language in LANGUAGES
        ]

    def answer(self, granted: bool) -> None:
        """Note the answer about measurements, and know the visitor again or not."""
        agreed = granted and self.visit.session.analytics is not True
        self.visit = self.visit.with_analytics(granted)
        self.keep(cookies.consent(granted))
        self.recognise()
        if agreed and self.visit.session.channel_group not in ("", "direct"):
            self._keep_click()  # its own: to who had not agreed, none was lent

    def recognise(self) -> None:
        """Give who agreed an id, and take it from who does not."""
        session, jar = self.visit.session, self.request.cookies
        if session.analytics is True:
            now = self.front.platform.clock.now()
            known, left = cookies.read_visitor(jar.get(cookies.VISITOR), now=now)
            if not known:
                known, left = new_id("vis", now), cookies.VISITOR_SECONDS
                self.keep(Cookie(cookies.VISITOR, known, left))
            self.visit = self.visit.with_visitor(known)
        elif session.visitor_id or cookies.VISITOR in jar or cookies.CLICK in jar:
            self.visit = self.visit.with_visitor("")
            for name in (cookies.VISITOR, cookies.CLICK):
                self.keep(Cookie(name, "", 0))

    def remember_click(self) -> None:
        """Of who agreed: keep the click that led here, or thank an earlier one for the visit."""
        session = self.visit.session
        if session.analytics is not True:
            return
        if self.visit.clicked:
            self._keep_click()
        elif self.visit.started:
            since = session.started_at - self.front.settings.attribution_days * DAY
            kept = cookies.read_click(self.request.cookies.get(cookies.CLICK), since=since)
            if kept:
                self.visit = self.visit.thanked_to(kept)

    def _keep_click(self) -> None:
        session = self.visit.session
        brought = {name: getattr(session, name) for name in (*LABELS, "channel_group")}
        self.keep(cookies.click(brought, session.seen_at))

    def forget_visitor(self) -> None:
        """State that a visitor is to be forgotten, and agree to nothing any more."""
        if self.visit.session.visitor_id:
            self.record(VisitorForgotten(self.visit.session.visitor_id))
        self.answer(False)

    def suspect(self, because: str) -> None:
        """State once that no person is behind this visit."""
        if self.visit.session.traffic == "human":
            self.record(SessionSuspected(self.visit.session.session_id, because))
            self.visit = self.visit.suspected()

    def record(self, fact: Fact) -> None:
        """State a behaviour fact of a visit that counts; nobody looks at the answer to a HEAD."""
        if HEAD in self.request.scope or not self.visit.session.counted:
            return
        self.front.behaviour.record(fact, self.context())

    def context(self) -> EventContext:
        return self.front.context_of(self.visit)

    def remember_hold(self, hold: Hold) -> None:
        note = cookies.HoldNote(hold.hold_id, int(hold.expires_at.timestamp()))
        self._remember([each for each in self.holds if each.hold_id != hold.hold_id] + [note])

    def forget_hold(self, hold_id: str) -> None:
        if any(each.hold_id == hold_id for each in self.holds):
            self._remember([each for each in self.holds if each.hold_id != hold_id])

    def _remember(self, notes: Sequence[cookies.HoldNote]) -> None:
        self.holds = tuple(notes)
        self.keep(cookies.holds_cookie(notes))

    def keep(self, cookie: Cookie) -> None:
        self._cookies.append(cookie)

    async def part(self, peer: str, asked: Awaitable[Part]) -> Part | None:
        """A part of the page that may be left out when `peer` is away or refuses."""
        try:
            return await asked
        except Unavailable as error:
            self.front.signals.page_degraded(peer, detail=error.detail)
        except UpstreamProblem as error:
            self.front.signals.page_degraded(peer, detail=error.code)
        return None

    def render(
        self,
        template: str,
        *,
        view: PageViewed | None = None,
        status: int = 200,
        cache: str = PRIVATE,
        outcome: Outcome | None = None,
        **values: Any,
    ) -> Response:
        """The page as HTML; `view` is recorded as seen when it is given."""
        _, environment = self.front.environments[self.language]
        html = environment.get_template(template).render(
            page=self, f=self.formats, words=vocabulary, assets=self.front.assets, **values
        )
        if view is not None:
            self.record(replace(view, again=self.is_again))
            if cookies.ANSWERED in self.request.cookies:
                self.keep(Cookie(cookies.ANSWERED, "", 0))
        if outcome is not None:
            self.request.scope[problems.OUTCOME] = outcome
        response = HTMLResponse(html, status_code=status, headers={"cache-control": cache})
        return self._finish(response)

    def redirect(self, address: str) -> Response:
        """See another page (303): what a form answers with."""
        return self._finish(
            RedirectResponse(address, status_code=303, headers={"cache-control": UNKEPT})
        )

    def again(self, address: str) -> Response:
        """See the page once more that the form was on (303): an answer, and no second view.

        A visit that begins with the form has seen no page of it yet.
        """
        if not self.visit.started:
            self.keep(cookies.answered(urlsplit(address).path))
        return self.redirect(address)

    @property
    def is_again(self) -> bool:
        """Whether a form that was on this page has just led back to it."""
        note = self.request.cookies.get(cookies.ANSWERED)
        return cookies.is_answered(note, self.request.url.path)

    def _finish(self, response: Response) -> Response:
        if self.visit.changed:
            value = self.front.platform.sessions.encode(self.visit.session)
            self.keep(Cookie(COOKIE, value, IDLE_SECONDS))
        for cookie in self._cookies:
            cookie.put(response, secure=self.front.secure)
        return response


_SHARED: Final = frozenset({"", "models", "advisor", "how-it-works", "privacy"})


def _everywhere(tail: str) -> bool:
    """Whether a page exists in every market: a car or an order does not."""
    return tail == "cars" or tail.split("/", maxsplit=1)[0] in _SHARED


def _check_origin(request: Request, public_url: str) -> None:
    """Refuse forms of other sites. Browsers say where a form comes from; others need no defence.

    OWASP's "verifying origin with standard headers"; the cookies are SameSite=Lax besides.
    """
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    foreign = origin is not None and not is_own(
        origin, host=request.headers.get("host", ""), public_url=public_url
    )
    if foreign or site not in (None, "same-origin", "none"):
        raise ForeignForm("Please go back to the shop and send the form from there.")


def environments() -> dict[str, tuple[Texts, Environment]]:
    """One template environment per language: its messages are bound when templates compile."""
    made: dict[str, tuple[Texts, Environment]] = {}
    for language in LANGUAGES:
        texts = load_texts(language)
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.i18n"],
        )
        environment.install_gettext_callables(  # type: ignore[attr-defined]
            texts.gettext, texts.ngettext, newstyle=True
        )
        environment.globals["LANGUAGES"] = LANGUAGES
        environment.globals["PLACES"] = PLACES
        made[language] = (texts, environment)
    return made
