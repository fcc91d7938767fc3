"""What machines ask the shop for: files, pictures, the site's map and rules for robots."""

from __future__ import annotations

import re
from typing import Annotated, Final
from xml.sax.saxutils import escape

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from app.storefront.errors import PageMissing
from app.storefront.pages.page import Front
from app.storefront.pictures import Subject, subject_of_body, subject_of_model
from app.storefront.places import LANGUAGES, PLACES
from app.storefront.static import FOR_EVER
from app.storefront.vocabulary import BODIES

_PICTURE: Final = re.compile(r"([a-z][a-z0-9-]{0,39})-([0-9a-f]{6})\.svg")
CLOSED: Final = "nothing-here"
"""A page that robots.txt closes, and to which no link leads that a person could see or reach."""

_PAGES: Final = ("", "/cars", "/models", "/advisor", "/how-it-works", "/privacy")


def routes(front: Front) -> APIRouter:
    router = APIRouter()

    @router.get("/static/{name}", summary="A built file, for ever", response_class=Response)
    async def static(name: str) -> Response:
        asset = front.assets.files.get(name)
        if asset is None:
            raise PageMissing("There is no such file.")
        return Response(
            asset.body, media_type=asset.media_type, headers={"cache-control": FOR_EVER}
        )

    @router.get(
        "/assets/cars/{version}/{sheet}/{name}", summary="A drawn car", response_class=Response
    )
    async def picture(
        version: str, sheet: Annotated[str, Path(pattern="^(close|scale)$")], name: str
    ) -> Response:
        match = _PICTURE.fullmatch(name)
        if match is None:
            raise PageMissing("There is no such picture.")
        subject = await _subject(front, match.group(1))
        svg = front.pictures.svg(subject, f"#{match.group(2)}", to_scale=sheet == "scale")
        # A page of another release may ask with an older version: right, but not for ever.
        cache = FOR_EVER if version == subject.version else "public, max-age=60"
        return Response(svg, media_type="image/svg+xml", headers={"cache-control": cache})

    @router.get("/seen.css", summary="Shows that a browser has the page", response_class=Response)
    async def seen(request: Request) -> Response:
        front.see(request)
        return Response("", media_type="text/css", headers={"cache-control": "no-store"})

    @router.get("/robots.txt", summary="Rules for robots", response_class=PlainTextResponse)
    async def robots(request: Request) -> Response:
        closed = "".join(
            f"Disallow: /{place}/{language}/{page}\n"
            for place in PLACES
            for language in LANGUAGES
            for page in ("purchases", CLOSED)
        )
        text = (
            f"User-agent: *\n{closed}Disallow: /api/\nDisallow: /console\nDisallow: /sandbox/\n"
            f"Sitemap: {front.origin(request)}/sitemap.xml\n"
        )
        return PlainTextResponse(text, headers={"cache-control": "public, max-age=3600"})

    @router.get(f"/{{market}}/{{language}}/{CLOSED}", summary="Only robots that ignore rules come")
    async def closed_to_robots(request: Request, market: str, language: str) -> Response:
        page = front.open(request, market, language)
        if not (_is_prefetch(request) or _is_of_others(request)):
            page.suspect("robots_txt")
        return page.redirect(page.url())

    @router.get("/sitemap.xml", summary="Every page worth finding", response_class=Response)
    async def sitemap(request: Request) -> Response:
        origin = front.origin(request)
        models = await front.range.models()
        paths = [*_PAGES, *(f"/models/{model}" for model in models)]
        urls = "".join(_entry(origin, place, path) for place in PLACES for path in paths)
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
            f' xmlns:xhtml="http://www.w3.org/1999/xhtml">{urls}</urlset>'
        )
        return Response(
            body, media_type="application/xml", headers={"cache-control": "public, max-age=3600"}
        )

    return router


def _entry(origin: str, market: str, path: str) -> str:
    """One page in all its languages (sitemaps.org 0.9, with hreflang alternates)."""
    links = "".join(
        f'<xhtml:link rel="alternate" hreflang="{language}-{PLACES[market].market}"'
        f' href="{escape(f"{origin}/{market}/{language}{path}")}"/>'
        for language in LANGUAGES
    )
    return "".join(
        f"<url><loc>{escape(f'{origin}/{market}/{language}{path}')}</loc>{links}</url>"
        for language in LANGUAGES
    )


def _is_of_others(request: Request) -> bool:
    """Whether another site led a person here, so that their visit be taken for a program's."""
    return request.headers.get("sec-fetch-site") in ("cross-site", "same-site")


def _is_prefetch(request: Request) -> bool:
    """Whether a browser fetches ahead, which nobody has asked for."""
    headers = request.headers
    purposes = [headers.get(name, "") for name in ("sec-purpose", "purpose", "x-moz")]
    return any("prefetch" in each or "prerender" in each for each in purposes)


async def _subject(front: Front, slug: str) -> Subject:
    if slug in BODIES:
        return subject_of_body(slug)
    model = (await front.range.models()).get(slug)
    if model is None:
        raise PageMissing("There is no such model.")
    return subject_of_model(model)
