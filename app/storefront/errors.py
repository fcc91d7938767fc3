"""What can go wrong in the storefront itself; other services' problems are shown, not renamed."""

from __future__ import annotations

from app.kernel.errors import NotFound, VitrineError
from telemetry.catalogue.outcomes import Outcome


class PageMissing(NotFound):
    """An address that is not a page of ours."""


class ForeignForm(VitrineError):
    """A form that was not sent from one of our own pages (cross-site request forgery)."""

    code, title = "foreign-form", "This form did not come from our own pages"
    outcome, status = Outcome.REFUSED, 403


class AssetsMissing(VitrineError):
    """The style sheets and scripts were never built: nothing could be shown."""

    code, title = "assets-missing", "The front-end assets are not built"
    outcome, status = Outcome.FAULT, 500
