"""The channels that bring a visit: a closed set, by the names of the field.

Google Analytics' "default channel group" (support.google.com/analytics/answer/9756891), read in
November 2026. Not the label `channel`, which says how a caller speaks to us: web, api or dealer.
Which visit belongs where is decided once, when it begins, by `storefront.acquisition`.
"""

from typing import Final, Literal, get_args

ChannelGroup = Literal[
    "direct",
    "cross_network",
    "paid_shopping",
    "paid_search",
    "paid_social",
    "paid_video",
    "display",
    "paid_other",
    "ai_assistant",
    "organic_shopping",
    "organic_social",
    "organic_video",
    "organic_search",
    "email",
    "affiliates",
    "referral",
    "audio",
    "sms",
    "mobile_push",
    "unassigned",
]
CHANNEL_GROUPS: Final[tuple[ChannelGroup, ...]] = get_args(ChannelGroup)

UNASSIGNED: Final[ChannelGroup] = "unassigned"
"""Something brought the visit that no rule knows; or nothing is known of what brought it."""


def known_group(name: str) -> ChannelGroup:
    """The group of this name; one of a later version, or none, is unassigned."""
    return next((group for group in CHANNEL_GROUPS if group == name), UNASSIGNED)
