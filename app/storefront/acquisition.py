"""What brought a visit: its channel group, by Google Analytics' published rules.

"[GA4] Default channel group", support.google.com/analytics/answer/9756891, the rules for manual
traffic, in their order: the first that holds decides, and case does not matter. Ours beyond it:
a click id stands for the source and medium of whoever adds it, and an assistant is known by its
name as well (Analytics sees `ai-assistant` as a medium that it writes itself), before the organic
groups. Pure: nothing of a click is kept here, and of a click id only its name is ever read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from app.kernel.channels import UNASSIGNED, ChannelGroup
from app.storefront.sources import SourceKind, source_kind

CLICK_IDS: Final[Mapping[str, tuple[str, str]]] = {
    "gclid": ("google", "cpc"),
    "gbraid": ("google", "cpc"),
    "wbraid": ("google", "cpc"),
    "msclkid": ("bing", "cpc"),
    "yclid": ("yandex", "cpc"),
    "dclid": ("", "display"),
    "ttclid": ("tiktok", "paid"),
    "twclid": ("twitter", "paid"),
    "li_fat_id": ("linkedin", "paid"),
    "ScCid": ("snapchat", "paid"),
    "epik": ("pinterest", "paid"),
    "fbclid": ("facebook", ""),
    "igshid": ("instagram", ""),
    "igsh": ("instagram", ""),
}
"""Query parameters that sites add to links, with the source and medium that each proves.

Facebook and Instagram add theirs to every link, paid or not: no medium."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """What a request says of the click that led to it.

    `source`, `medium`, `campaign` are the address's `utm_` labels; `labelled`: it has any of the
    five. `click_ids` are names out of `CLICK_IDS`. `referrer` is a host, and empty for our own.
    """

    source: str = ""
    medium: str = ""
    campaign: str = ""
    labelled: bool = False
    click_ids: Collection[str] = ()
    referrer: str = ""


@dataclass(frozen=True, slots=True)
class _Traffic:
    """A click in Analytics' words, in small letters."""

    source: str
    medium: str
    campaign: str
    kind: SourceKind | None

    @property
    def paid(self) -> bool:
        return _PAID.fullmatch(self.medium) is not None

    @property
    def shops(self) -> bool:
        return self.kind == "shopping" or _SHOPS.search(self.campaign) is not None


_PAID: Final = re.compile(r".*cp.*|ppc|retargeting|paid.*")
_SHOPS: Final = re.compile(r"(?:[^a-df-z]|^)shop|shopping")
_EMAIL: Final = frozenset({"email", "e-mail", "e_mail", "e mail"})
_DISPLAY: Final = frozenset({"display", "banner", "expandable", "interstitial", "cpm"})
_SOCIAL: Final = frozenset(
    {"social", "social-network", "social-media", "sm", "social network", "social media"}
)
_NONE: Final = frozenset({"", "(none)", "(not set)"})

RULES: Final[tuple[tuple[ChannelGroup, Callable[[_Traffic], bool]], ...]] = (
    ("direct", lambda t: t.source == "(direct)" and t.medium in _NONE),
    ("cross_network", lambda t: "cross-network" in t.campaign),
    ("paid_shopping", lambda t: t.shops and t.paid),
    ("paid_search", lambda t: t.kind == "search" and t.paid),
    ("paid_social", lambda t: t.kind == "social" and t.paid),
    ("paid_video", lambda t: t.kind == "video" and t.paid),
    ("display", lambda t: t.medium in _DISPLAY),
    ("paid_other", lambda t: t.paid),
    ("ai_assistant", lambda t: t.kind == "assistant" or t.medium == "ai-assistant"),
    ("organic_shopping", lambda t: t.shops),
    ("organic_social", lambda t: t.kind == "social" or t.medium in _SOCIAL),
    ("organic_video", lambda t: t.kind == "video" or "video" in t.medium),
    ("organic_search", lambda t: t.kind == "search" or t.medium == "organic"),
    ("email", lambda t: t.source in _EMAIL or t.medium in _EMAIL),
    ("affiliates", lambda t: t.medium in {"affiliate", "affiliates"}),
    ("referral", lambda t: t.medium in {"referral", "app", "link"}),
    ("audio", lambda t: t.medium == "audio"),
    ("sms", lambda t: "sms" in {t.source, t.medium}),
    (
        "mobile_push",
        lambda t: (
            t.medium.endswith("push")
            or "mobile" in t.medium
            or "notification" in t.medium
            or t.source == "firebase"
        ),
    ),
)
"""In Analytics' order; what none of them takes is unassigned."""


def channel_group(click: Click) -> ChannelGroup:
    """The group of a click; `direct` when nothing says where it came from."""
    if not (click.labelled or click.click_ids or click.referrer):
        return "direct"
    traffic = _traffic(click)
    return next((group for group, holds in RULES if holds(traffic)), UNASSIGNED)


def _traffic(click: Click) -> _Traffic:
    """Its labels, and in their absence what a click id proves, and then the referrer."""
    proofs = [CLICK_IDS[name] for name in CLICK_IDS if name in click.click_ids]
    proven_source, proven_medium = proofs[0] if proofs else ("", "")
    source = (click.source or proven_source or click.referrer).lower()
    medium = (click.medium or proven_medium).lower()
    if not medium and click.referrer and source == click.referrer:
        medium = "referral"
    return _Traffic(source, medium, click.campaign.lower(), source_kind(source))


def referring_host(referrer: str, *, own: Collection[str]) -> str:
    """The host of a `Referer` header without `www.`; empty for none, for ours, for what is none.

    An Android app is its package's name (`android-app://`). Path and query are not looked at.
    """
    try:
        parts = urlsplit(referrer.strip())
        host = (parts.hostname or "").removesuffix(".").removeprefix("www.")
    except ValueError:
        return ""
    if parts.scheme.lower() not in {"http", "https", "android-app"}:
        return ""
    return "" if host in {name.lower().removeprefix("www.") for name in own} else host
