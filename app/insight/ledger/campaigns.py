"""The register of campaigns: what marketing runs is named here, everything else is `other`.

The raw `utm_campaign` is typed by strangers; as a label it would be unbounded.
"""

from __future__ import annotations

from typing import Final

REGISTERED: Final = frozenset(
    {"autumn-drive", "black-week", "electric-days", "newsletter", "spring-launch", "winter-ready"}
)
"""Campaigns of this year, as they stand in `utm_campaign`."""

OTHER: Final = "other"


def campaign_label(campaign: str) -> str:
    """The label of a raw campaign; empty for a visit that no campaign brought."""
    name = campaign.strip().lower()
    if not name:
        return ""
    return name if name in REGISTERED else OTHER
