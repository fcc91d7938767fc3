"""Robots that say so, people in whatever browser, and what a device calls itself."""

from __future__ import annotations

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from app.storefront import agents
from app.storefront.agents import OVERRULED, declares_itself, device_of

CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"

PEOPLE = {
    "Brave, desktop": f"{WINDOWS} {CHROME} Safari/537.36",
    "Brave, phone": f"Mozilla/5.0 (Linux; Android 10; K) {CHROME} Mobile Safari/537.36",
    "DuckDuckGo, iPhone": f"{IPHONE} (KHTML, like Gecko) Version/18.6 Mobile/15E148 "
    "DuckDuckGo/7 Safari/605.1.15",
    "DuckDuckGo, Android": "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Version/4.0 Chrome/140.0.0.0 Mobile DuckDuckGo/5 Safari/537.36",
    "DuckDuckGo, Mac": f"{MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 "
    "Safari/605.1.15 Ddg/18.6",
    "Tor, desktop": "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Tor, Android": "Mozilla/5.0 (Android 10; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0",
    "Firefox Focus, iPhone": f"{IPHONE} (KHTML, like Gecko) FxiOS/143.0 Mobile/15E148 "
    "Safari/605.1.15",
    "Firefox Focus, Android": "Mozilla/5.0 (Android 14; Mobile; rv:143.0) Gecko/143.0 "
    "Firefox/143.0",
    "Firefox Klar": "Mozilla/5.0 (Linux; Android 7.0) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Version/4.0 Klar/1.0 Chrome/58.0.3029.83 Mobile Safari/537.36",
    "Safari with private relay": f"{IPHONE} (KHTML, like Gecko) Version/18.6 Mobile/15E148 "
    "Safari/604.1",
    "Safari with private relay, Mac": f"{MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.6 Safari/605.1.15",
    "LibreWolf": "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Vivaldi": f"{WINDOWS} {CHROME} Safari/537.36 Vivaldi/7.5",
    "Samsung Internet": "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
    "Facebook's own browser": f"{IPHONE} (KHTML, like Gecko) Mobile/15E148 "
    "[FBAN/FBIOS;FBAV/500.0.0.0;FBDV/iPhone15,2]",
    "a phone of Cubot": f"Mozilla/5.0 (Linux; Android 10; CUBOT J9) {CHROME} Mobile Safari/537.36",
    "a phone called bot": f"Mozilla/5.0 (Linux; Android 7.0; M bot 60) {CHROME} Mobile "
    "Safari/537.36",
    "an Android build of 2024": "Mozilla/5.0 (Linux; Android 15; Pixel 8 Build/AP3A.240617.008; wv)"
    f" {CHROME} Mobile Safari/537.36",
    "HTC Butterfly": f"Mozilla/5.0 (Linux; Android 4.4.2; HTC Butterfly s) {CHROME} Mobile "
    "Safari/537.36",
    "nothing": "",
}

ROBOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "curl/8.5.0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/156.0.0.0 Safari/537.36",
    "python-requests/2.32.3",
    "Go-http-client/2.0",
    "Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)",
    # of nobody's list
    "Mozilla/5.0 (compatible; NobodyKnows/1.0; +https://nobody.example/robot)",
    "NobodyBot/0.1",
)


@pytest.mark.parametrize("browser", PEOPLE)
def test_nobody_is_taken_for_a_robot_for_the_browser_they_chose(browser: str) -> None:
    assert not declares_itself(PEOPLE[browser])


@pytest.mark.parametrize("agent", ROBOTS)
def test_a_robot_that_says_so_is_one(agent: str) -> None:
    assert declares_itself(agent)


def test_the_list_knows_its_own_examples() -> None:
    examples = [each for entry in CRAWLER_USER_AGENTS_DATA for each in entry.get("instances", [])]
    missed = [each for each in examples if not declares_itself.__wrapped__(each)]

    assert len(examples) > 2_000
    assert len(missed) <= len(examples) * 0.005  # what the overruled patterns alone would find


def test_what_is_overruled_is_still_on_the_list() -> None:
    assert {entry["pattern"] for entry in CRAWLER_USER_AGENTS_DATA} >= OVERRULED


def test_an_answer_is_kept_and_the_keeping_has_a_bound() -> None:
    declares_itself.cache_clear()
    for _ in range(3):
        declares_itself("curl/8.5.0")

    kept = declares_itself.cache_info()
    assert (kept.hits, kept.misses, kept.maxsize) == (2, 1, agents.REMEMBERED)
    assert device_of.cache_info().maxsize == agents.REMEMBERED
