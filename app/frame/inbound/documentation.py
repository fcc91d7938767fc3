"""Each API documents itself: a page drawn from its OpenAPI document by our own copy of Swagger UI.

Nothing of the page comes from elsewhere. In production it stands in the console, behind its login.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

import orjson
from fastapi import APIRouter
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from app.kernel.errors import NotFound

STATIC: Final = Path(__file__).parents[3] / "build" / "static"
TYPES: Final = {".js": "text/javascript", ".css": "text/css"}
HEADERS: Final = {
    "content-security-policy": (
        # Swagger UI writes style attributes; its icons are data: images.
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-cache",
}


def reference_page(title: str, *, openapi: str, script: str, style: str) -> Response:
    """The page; `openapi`, `script` and `style` are addresses on the page's own origin."""
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>{escape(title)}: API reference</title>
<link rel="stylesheet" href="{escape(style)}">
<script type="module" src="{escape(script)}"></script>
</head>
<body>
<nav class="references" aria-label="API references"></nav>
<main data-openapi="{escape(openapi)}"><noscript>This page needs JavaScript; the document it
draws is <a href="{escape(openapi)}">{escape(openapi)}</a>.</noscript></main>
</body>
</html>
""",
        headers=HEADERS,
    )


def reference_routes(*, title: str, name: str, prefix: str, production: bool) -> APIRouter:
    """`<prefix>/docs` and the files that it needs.

    In production the address leads to the console, which shows the same page to whom it knows.
    """
    router = APIRouter(include_in_schema=False)

    @router.get(f"{prefix}/docs")
    async def docs() -> Response:
        if production:
            return RedirectResponse(f"/console/apis/{name}", 303)
        built = built_names(STATIC)
        return reference_page(
            title,
            openapi=f"{prefix}/openapi.json",
            script=f"{prefix}/docs/{built.get('reference.js', '')}",
            style=f"{prefix}/docs/{built.get('reference.css', '')}",
        )

    @router.get(f"{prefix}/docs/{{file}}")
    async def part(file: str) -> Response:
        path = STATIC / file
        known = (
            path.suffix in TYPES
            and path.parent == STATIC
            and file.isprintable()
            and len(file) < 100
        )
        if production or not known or not path.is_file():
            raise NotFound("There is no such file; `make setup` builds the reference's assets.")
        return FileResponse(path, media_type=TYPES[path.suffix], headers=HEADERS)

    return router


def built_names(folder: Path) -> dict[str, str]:
    """The bundles by their source's name; none when they were never built."""
    path = folder / "manifest.json"
    names: dict[str, str] = orjson.loads(path.read_bytes()) if path.is_file() else {}
    return names
