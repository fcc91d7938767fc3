"""A scraper gets the format and the encoding that it asks for, and nothing that it refuses."""

import gzip
from pathlib import Path

import httpx
import pytest

from app.frame.inbound.internal import internal_app
from telemetry.instruments import MetricRegistry
from telemetry.negotiation import wants_gzip
from tests.builders.platform import make_platform

OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (PROMETHEUS, OPEN),
        ("application/openmetrics-text", OPEN),
        ('Application/OpenMetrics-Text; version="1.0.0"', OPEN),
        ("application/openmetrics-text;version=0.0.1", OPEN),
        ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6", OPEN),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/openmetrics-text;q=0, text/plain", TEXT),
        ("application/openmetrics-text;version=2.0.0", TEXT),
        (
            "application/openmetrics-text;version=2.0.0,application/openmetrics-text;version=1.0.0",
            OPEN,
        ),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.8", TEXT),
        ("application/openmetrics-text;q=much", TEXT),
        ("application/openmetrics-text;q=-1", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("application/json", TEXT),
        ("*/*", TEXT),
        (";;,,", TEXT),
        ("", TEXT),
    ],
)
def test_the_format_is_what_is_wanted_most(accept: str, content_type: str) -> None:
    assert MetricRegistry().exposition(accept)[1].startswith(content_type)


@pytest.mark.parametrize(
    ("accepted", "wanted"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("identity", False),
        ("*", False),
        ("", False),
    ],
)
def test_gzip_is_sent_when_it_is_asked_for(accepted: str, wanted: bool) -> None:
    assert wants_gzip(accepted) is wanted


async def test_the_compressed_page_is_the_page(tmp_path: Path) -> None:
    platform = make_platform(tmp_path)
    platform.telemetry("checkout")
    app = internal_app("checkout", platform, outbox=None, router=None, ready=[])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://internal"
    ) as client:
        plain = await client.get("/metrics", headers={"accept-encoding": "identity"})
        async with client.stream("GET", "/metrics", headers={"accept-encoding": "gzip"}) as sent:
            raw = b"".join([chunk async for chunk in sent.aiter_raw()])
    assert "content-encoding" not in plain.headers
    assert sent.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == plain.content
    platform.flags.close()
