"""What brought a visit: Google Analytics' published rules, and the sources of these countries."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.channels import CHANNEL_GROUPS, ChannelGroup, known_group
from app.storefront.acquisition import CLICK_IDS, RULES, Click, channel_group, referring_host
from app.storefront.sources import SOURCES, source_kind

PUBLISHED: list[tuple[str, str, str, ChannelGroup]] = [
    # source, medium, campaign: what the help page's definitions say of each
    ("(direct)", "(none)", "", "direct"),
    ("(direct)", "(not set)", "", "direct"),
    ("google", "cpc", "summer cross-network", "cross_network"),
    ("amazon", "cpc", "", "paid_shopping"),
    ("newsletter", "ppc", "shop-now", "paid_shopping"),
    ("newsletter", "retargeting", "shopping", "paid_shopping"),
    ("google", "cpc", "", "paid_search"),
    ("bing", "ppc", "", "paid_search"),
    ("google", "cpm", "", "paid_search"),
    ("yahoo", "paidsearch", "", "paid_search"),
    ("facebook", "paid_social", "", "paid_social"),
    ("instagram", "cpc", "", "paid_social"),
    ("youtube", "cpv-cpc", "", "paid_video"),
    ("youtube.com", "paid", "", "paid_video"),
    ("dailyreader", "display", "", "display"),
    ("dailyreader", "banner", "", "display"),
    ("dailyreader", "expandable", "", "display"),
    ("dailyreader", "interstitial", "", "display"),
    ("dailyreader", "cpm", "", "display"),
    ("dailyreader", "cpc", "", "paid_other"),
    ("dailyreader", "paid-content", "", "paid_other"),
    ("chatgpt.com", "", "", "ai_assistant"),
    ("perplexity", "referral", "", "ai_assistant"),
    ("gemini.google.com", "referral", "", "ai_assistant"),
    ("anything", "ai-assistant", "(ai-assistant)", "ai_assistant"),
    ("ebay", "referral", "", "organic_shopping"),
    ("newsletter", "text", "spring-shop", "organic_shopping"),
    ("facebook", "", "", "organic_social"),
    ("anything", "social", "", "organic_social"),
    ("anything", "social-network", "", "organic_social"),
    ("anything", "social-media", "", "organic_social"),
    ("anything", "sm", "", "organic_social"),
    ("anything", "social network", "", "organic_social"),
    ("anything", "social media", "", "organic_social"),
    ("vimeo", "", "", "organic_video"),
    ("anything", "video-post", "", "organic_video"),
    ("google", "organic", "", "organic_search"),
    ("duckduckgo", "", "", "organic_search"),
    ("anything", "organic", "", "organic_search"),
    *[(word, "", "", "email") for word in ("email", "e-mail", "e_mail", "e mail")],
    *[("spring", word, "", "email") for word in ("email", "e-mail", "e_mail", "e mail")],
    ("partner", "affiliate", "", "affiliates"),
    ("partner", "affiliates", "", "affiliates"),
    ("dailyreader", "referral", "", "referral"),
    ("dailyreader", "app", "", "referral"),
    ("dailyreader", "link", "", "referral"),
    ("podcast", "audio", "", "audio"),
    ("sms", "", "", "sms"),
    ("twilio", "sms", "", "sms"),
    ("ours", "web-push", "", "mobile_push"),
    ("ours", "mobile-app", "", "mobile_push"),
    ("ours", "notification", "", "mobile_push"),
    ("firebase", "", "", "mobile_push"),
    ("ours", "flyer", "", "unassigned"),
    ("ours", "", "", "unassigned"),
    ("", "", "black-week", "unassigned"),
    # "shop" begins a word, or follows an e
    ("ours", "flyer", "eshop", "organic_shopping"),
    ("ours", "flyer", "bishop-tour", "unassigned"),
    ("ours", "flyer", "workshop", "unassigned"),
]

REFERRERS: list[tuple[str, ChannelGroup]] = [
    ("https://www.google.se/", "organic_search"),
    ("https://google.co.uk", "organic_search"),
    ("android-app://com.google.android.googlequicksearchbox/", "organic_search"),
    ("https://se.search.yahoo.com/", "organic_search"),
    ("https://search.brave.com/search?q=elbil", "organic_search"),
    ("https://www.eniro.se/", "organic_search"),
    ("https://kvasir.no/", "organic_search"),
    ("https://www.krak.dk/", "organic_search"),
    ("https://l.facebook.com/l.php?u=x", "organic_social"),
    ("http://lm.facebook.com/", "organic_social"),
    ("https://t.co/abc", "organic_social"),
    ("https://www.flashback.org/t123", "organic_social"),
    ("https://se.pinterest.com/", "organic_social"),
    ("https://m.youtube.com/", "organic_video"),
    ("https://www.svtplay.se/", "organic_video"),
    ("https://www.prisjakt.nu/", "organic_shopping"),
    ("https://www.pricerunner.se/", "organic_shopping"),
    ("https://hintaopas.fi/", "organic_shopping"),
    ("https://chatgpt.com/", "ai_assistant"),
    ("https://www.perplexity.ai/search/x", "ai_assistant"),
    ("https://gemini.google.com/app", "ai_assistant"),
    ("https://copilot.microsoft.com/", "ai_assistant"),
    ("https://claude.ai/chat/x", "ai_assistant"),
    # Google's other houses are no search
    ("https://mail.google.com/mail/u/0", "referral"),
    ("https://docs.google.com/document/d/x", "referral"),
    ("https://www.blocket.se/annons/1", "referral"),
    ("https://www.finn.no/", "referral"),
    ("https://www.bilbasen.dk/", "referral"),
    ("https://www.nettiauto.com/", "referral"),
    ("https://teknikensvarld.expressen.se/", "referral"),
    # names that only look like it
    ("https://google.evil.example/", "referral"),
    ("https://notfacebook.com/", "referral"),
    ("https://facebook.com.evil.example/", "referral"),
    ("", "direct"),
    ("about:blank", "direct"),
    ("http://[::1", "direct"),
    ("https://www.vitrine.example/se/sv/cars", "direct"),
]


@pytest.mark.parametrize(("source", "medium", "campaign", "group"), PUBLISHED)
def test_labels_are_read_as_analytics_documents(
    source: str, medium: str, campaign: str, group: ChannelGroup
) -> None:
    click = Click(source=source, medium=medium, campaign=campaign, labelled=True)
    shouted = Click(
        source=source.upper(), medium=medium.upper(), campaign=campaign.upper(), labelled=True
    )

    assert (channel_group(click), channel_group(shouted)) == (group, group)


@pytest.mark.parametrize(("referrer", "group"), REFERRERS)
def test_without_labels_the_referring_host_says_it(referrer: str, group: ChannelGroup) -> None:
    host = referring_host(referrer, own={"vitrine.example"})

    assert channel_group(Click(referrer=host)) == group


def test_every_group_has_an_example_and_every_rule_its_turn() -> None:
    assert {group for *_, group in PUBLISHED} == set(CHANNEL_GROUPS)
    assert [group for group, _ in RULES] == [g for g in CHANNEL_GROUPS if g != "unassigned"]


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("gclid", "paid_search"),
        ("gbraid", "paid_search"),
        ("wbraid", "paid_search"),
        ("msclkid", "paid_search"),
        ("yclid", "paid_search"),
        ("dclid", "display"),
        ("ttclid", "paid_social"),
        ("twclid", "paid_social"),
        ("li_fat_id", "paid_social"),
        ("ScCid", "paid_social"),
        ("epik", "paid_social"),
        ("fbclid", "organic_social"),
        ("igshid", "organic_social"),
        ("igsh", "organic_social"),
    ],
)
def test_a_click_id_proves_whose_click_it_was(name: str, group: ChannelGroup) -> None:
    assert channel_group(Click(click_ids={name})) == group
    assert channel_group(Click(click_ids={name}, referrer="anywhere.example")) == group


def test_every_click_id_is_tried() -> None:
    assert len(CLICK_IDS) == 14


def test_labels_say_more_than_a_click_id_and_that_more_than_the_referrer() -> None:
    mail = Click(source="letter", medium="email", labelled=True, click_ids={"fbclid"})
    paid = Click(source="facebook", medium="", labelled=True, click_ids={"gclid"})
    named = Click(campaign="advent", labelled=True, referrer="facebook.com")

    assert channel_group(mail) == "email"
    assert channel_group(paid) == "paid_social"
    assert channel_group(named) == "organic_social"


def test_no_source_is_of_two_kinds_and_each_is_found() -> None:
    entries = [(kind, entry) for kind, words in SOURCES.items() for entry in words.split()]

    assert [e for e, count in Counter(e for _, e in entries).items() if count > 1] == []
    assert [e for kind, e in entries if source_kind(e.replace(".*", ".se")) != kind] == []


words = st.text(max_size=30) | st.sampled_from(
    [word for row in PUBLISHED for word in row[:3]] + ["www.google.se", "m.facebook.com"]
)


@given(source=words, medium=words, campaign=words, labelled=st.booleans(), referrer=words)
def test_any_click_has_one_group_and_nothing_at_all_is_direct(
    source: str, medium: str, campaign: str, labelled: bool, referrer: str
) -> None:
    click = Click(
        source=source, medium=medium, campaign=campaign, labelled=labelled, referrer=referrer
    )

    assert channel_group(click) in CHANNEL_GROUPS
    assert labelled or referrer or channel_group(click) == "direct"


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z.]{1,20}/[a-z?=&]{0,20}"))
def test_of_a_referrer_nothing_but_a_host_is_kept(referrer: str) -> None:
    host = referring_host(referrer, own=set())

    assert not set(host) & set("/?#@")
    assert referring_host(referrer, own={host, f"www.{host}"}) == ""


def test_a_group_of_a_later_version_is_unassigned() -> None:
    assert [known_group(name) for name in ("email", "holograms", "")] == [
        "email",
        "unassigned",
        "unassigned",
    ]
