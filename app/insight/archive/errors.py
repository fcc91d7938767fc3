"""Why an archive or a ledger cannot be read, made or checked: each a sentence for the operator."""

from __future__ import annotations

from app.kernel.errors import CannotStart


class CannotReplay(CannotStart):
    """An event that this version cannot book."""


class CannotExport(CannotStart):
    """A folder that is not this ledger's archive."""


class CannotImport(CannotStart):
    """A folder without an archive, or a ledger that is not empty."""


class CannotRebuild(CannotStart):
    """A ledger that has what its events do not tell."""
