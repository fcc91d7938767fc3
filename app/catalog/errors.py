"""What can go wrong in the catalogue, each with its answer."""

from __future__ import annotations

from app.kernel.errors import VitrineError
from telemetry.catalogue.outcomes import Outcome


class FeedNotReadable(VitrineError):
    """The file as a whole cannot be read (encoding, header, quoting); nothing was imported."""

    code, title = "feed-unreadable", "The feed could not be read; nothing was changed"
    outcome, status = Outcome.INVALID, 422


class TooMuchRemoved(VitrineError):
    """The guard: most likely the feed is damaged, so the stock stays as it is."""

    code, title = "feed-guarded", "The feed would remove too much stock; nothing was changed"
    outcome, status = Outcome.CONFLICT, 409


class StockTooLarge(VitrineError):
    """More cars than memory was laid out for: refused before it is gone."""

    code, title = "stock-too-large", "The feed has more cars than fit; nothing was changed"
    outcome, status = Outcome.INVALID, 422


class PricesImplausible(VitrineError):
    """The guard: most likely the prices are damaged, so they stay as they are."""

    code, title = "prices-guarded", "The feed would change prices too much; nothing was changed"
    outcome, status = Outcome.CONFLICT, 409


class FeedOutdated(VitrineError):
    """A newer export was imported before: this one would bring sold cars back."""

    code, title = "feed-outdated", "The feed is older than the stock; nothing was changed"
    outcome, status = Outcome.CONFLICT, 409
