"""The reference page of an API: our own files, and in production the console's business."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from app.frame.inbound import documentation, problems
from app.frame.inbound.documentation import HEADERS, reference_routes


def _client(*, production: bool) -> httpx.AsyncClient:
    app = FastAPI(openapi_url="/api/x/v1/openapi.json", docs_url=None, redoc_url=None)
    problems.install(app)
    app.include_router(
        reference_routes(title="X & Y", name="x", prefix="/api/x/v1", production=production)
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop")


async def test_the_page_asks_for_its_own_files_under_a_policy() -> None:
    async with _client(production=False) as client:
        page = await client.get("/api/x/v1/docs")
        assert (page.status_code, page.headers["content-security-policy"]) == (
            200,
            HEADERS["content-security-policy"],
        )
        assert "<title>X &amp; Y: API reference</title>" in page.text
        assert 'data-openapi="/api/x/v1/openapi.json"' in page.text
        script = page.text.split('src="')[1].split('"')[0]
        file = await client.get(script)
        assert (
            file.status_code,
            file.headers["content-type"],
            file.headers["x-content-type-options"],
        ) == (
            200,
            "text/javascript; charset=utf-8",
            "nosniff",
        )


@pytest.mark.parametrize("name", ["manifest.json", "nothing.js", "..%2f..%2fREADME.md", "%00.js"])
async def test_nothing_but_the_built_scripts_and_styles_is_served(name: str) -> None:
    async with _client(production=False) as client:
        assert (await client.get(f"/api/x/v1/docs/{name}")).status_code == 404


async def test_in_production_the_page_stands_in_the_console() -> None:
    async with _client(production=True) as client:
        page = await client.get("/api/x/v1/docs")
        assert (page.status_code, page.headers["location"]) == (303, "/console/apis/x")
        script = documentation.built_names(documentation.STATIC)["reference.js"]
        assert (await client.get(f"/api/x/v1/docs/{script}")).status_code == 404
