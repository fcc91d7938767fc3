"""Which sources are search engines, social networks, video sites, shops or AI assistants.

Our own short list of what is common in the Nordic countries, in the categories of Google
Analytics ("GA4 default channel group", which publishes categories for some 800 sources). A site
that is not here is a referral, which is what it is to anybody who has not heard of it.

An entry is a bare name as marketers write it in `utm_source` (`google`), a host with all that
ends in it (`facebook.com`, so `l.facebook.com` too), or a name in whatever country (`google.*`:
`google.se`, `google.co.uk`, but not `mail.google.com`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

SourceKind = Literal["search", "social", "video", "shopping", "assistant"]

SOURCES: Final[Mapping[SourceKind, str]] = {
    "search": """
        google google.* googlequicksearchbox com.google.android.googlequicksearchbox
        bing bing.com yahoo yahoo.* search.yahoo.com duckduckgo duckduckgo.com ecosia ecosia.org
        qwant qwant.com startpage startpage.com brave search.brave.com kagi kagi.com
        mojeek mojeek.com yandex yandex.* ya.ru baidu baidu.com naver naver.com seznam seznam.cz
        eniro eniro.* hitta hitta.se kvasir kvasir.no startsiden startsiden.no 1881.no
        krak krak.dk degulesider.dk jubii jubii.dk fonecta fonecta.fi
    """,
    "social": """
        facebook fb facebook.com fb.com fb.me messenger messenger.com
        com.facebook.katana com.facebook.orca instagram ig instagram.com com.instagram.android
        threads threads.net threads.com twitter twitter.com x.com t.co com.twitter.android
        linkedin linkedin.com lnkd.in com.linkedin.android
        pinterest pinterest.* pinterest.com pin.it tiktok tiktok.com
        snapchat snapchat.com reddit reddit.com com.reddit.frontpage
        whatsapp whatsapp.com wa.me telegram t.me telegram.org org.telegram.messenger
        bluesky bsky.app mastodon mastodon.social mastodon.nu discord discord.com
        quora quora.com tumblr tumblr.com vk vk.com xing xing.com jodel jodel.com
        flashback flashback.org familjeliv familjeliv.se suomi24 suomi24.fi
        meta news.ycombinator.com
    """,
    "video": """
        youtube youtube.com youtu.be com.google.android.youtube vimeo vimeo.com twitch twitch.tv
        dailymotion dailymotion.com netflix netflix.com disneyplus disneyplus.com hulu hulu.com
        svtplay svtplay.se tv4play tv4play.se viaplay viaplay.*
    """,
    "shopping": """
        amazon amazon.* ebay ebay.* etsy etsy.com aliexpress aliexpress.com alibaba alibaba.com
        shopping.google.com shopzilla shopzilla.com idealo idealo.* kelkoo kelkoo.*
        pricerunner pricerunner.* prisjakt prisjakt.nu prisjakt.no pricespy pricespy.*
        hintaopas hintaopas.fi cdon cdon.* tradera tradera.com temu temu.com walmart walmart.com
    """,
    "assistant": """
        chatgpt chatgpt.com openai chat.openai.com com.openai.chatgpt
        perplexity perplexity.ai gemini gemini.google.com bard.google.com
        copilot copilot.microsoft.com copilot.com claude claude.ai deepseek chat.deepseek.com
        grok grok.com x.ai meta.ai mistral chat.mistral.ai you.com poe poe.com phind.com
        duck.ai lumo.proton.me notebooklm.google.com
    """,
}

_SECOND_LEVEL: Final = frozenset({"co", "com", "org", "net"})
"""What stands before a country in an address of two parts, `google.co.uk`."""


def source_kind(source: str) -> SourceKind | None:
    """What a source is, by a marketer's name or a host; None for one that is not listed.

    >>> source_kind("www.google.co.uk"), source_kind("google.evil.example"), source_kind("ig")
    ('search', None, 'social')
    """
    name = source.strip().lower().removeprefix("www.")
    return next((_KINDS[each] for each in _spellings(name) if each in _KINDS), None)


def _spellings(name: str) -> Iterator[str]:
    """The entries that would name this source, the closest first."""
    yield name
    labels = name.split(".")
    brand, country = labels[0], labels[1:]
    short = len(country) == 1 or (len(country) == 2 and country[0] in _SECOND_LEVEL)
    if short:
        yield f"{brand}.*"
    for start in range(1, len(labels) - 1):
        yield ".".join(labels[start:])


_KINDS: Final[Mapping[str, SourceKind]] = {
    entry: kind for kind, entries in SOURCES.items() for entry in entries.split()
}
