"""What the console's pages share: templates, assets, headers, and how errors look to people."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.frame.inbound.documentation import built_names
from app.insight.console import charts
from app.insight.console.alerting import Alerting
from app.insight.console.doorkeeper import Doorkeeper
from app.insight.console.formatting import FILTERS, clock_time
from app.insight.console.gateways import Prometheus
from app.insight.console.journeys import Traces
from app.insight.console.overview import Overviews
from app.insight.ledger.readings import Readings
from app.insight.settings import InsightSettings
from app.insight.signals import Signals
from app.kernel.clock import Clock

HEADERS: Final = {
    # Nothing of the console comes from elsewhere, and nothing may frame it.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self';"
        " img-src 'self' data:; connect-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}

TYPES: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".woff2": "font/woff2",
    ".map": "application/json",
    ".svg": "image/svg+xml",
}


@dataclass(slots=True)
class Console:
    """Everything that a page can ask."""

    settings: InsightSettings
    readings: Readings
    overviews: Overviews
    alerting: Alerting
    prometheus: Prometheus
    doorkeeper: Doorkeeper
    signals: Signals
    clock: Clock
    traces: Traces | None
    version: str
    templates: Environment
    assets: dict[str, str] = field(default_factory=dict)
    assets_written_at: int = 0

    def page(self, request: Request, name: str, *, status: int = 200, **values: Any) -> Response:
        """A whole page, or (for `?fragment`) the part of it that refreshes itself."""
        template = self.templates.get_template(name)
        html = template.render(
            request=request,
            path=request.url.path,
            version=self.version,
            asset=self.asset,
            fragment="fragment" in request.query_params,
            now=self.clock.now(),
            **values,
        )
        return HTMLResponse(html, status_code=status, headers=HEADERS)

    def asset(self, name: str) -> str:
        """The address of a bundled asset; empty when the assets were never built."""
        manifest = self.settings.static / "manifest.json"
        written_at = manifest.stat().st_mtime_ns if manifest.is_file() else 0
        if written_at != self.assets_written_at:
            self.assets = built_names(self.settings.static)
            self.assets_written_at = written_at
        found = self.assets.get(name)
        return f"/console/static/{found}" if found else ""

    def trace_url(self, trace_id: str) -> str:
        """Where a trace is looked at: here, or at the trace store of production."""
        if self.traces is None and self.settings.trace_url:
            return self.settings.trace_url.replace("{trace_id}", trace_id)
        return f"/console/traces/{trace_id}"

    def file(self, name: str) -> Path | None:
        """A bundled file by its hashed name; None for anything else."""
        path = self.settings.static / name
        known = path.suffix in TYPES and path.parent == self.settings.static
        return path if known and path.is_file() else None


def templates(clock: Clock) -> Environment:
    """Templates that escape everything and fail on a name that is not there."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.filters["clock_time"] = lambda moment: clock_time(moment, clock.now())
    environment.globals["charts"] = charts
    return environment


def to_login(request: Request) -> Response:
    """To the login page and back again; only our own addresses are come back to."""
    target = request.url.path
    if request.url.query:
        target += f"?{request.url.query}"
    where = request.url_for("console_login").path
    return RedirectResponse(f"{where}?next={_quoted(target)}", 303, headers=HEADERS)


def safe_next(target: str) -> str:
    """A path of the console; anything else becomes its first page."""
    inside = target == "/console" or target.startswith(("/console/", "/console?"))
    plain = all(character.isprintable() for character in target) and "\\" not in target
    return target if inside and plain and "//" not in target else "/console"


def _quoted(text: str) -> str:
    return quote(text, safe="/")
