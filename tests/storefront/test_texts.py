"""Texts: every one is translated, and says the same things."""

from __future__ import annotations

import re
from pathlib import Path

from app.storefront.places import LANGUAGES, guess, remembered
from app.storefront.texts import load_texts
from tests.storefront.messages import messages

PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def test_every_text_is_translated_into_swedish_and_none_is_left_over() -> None:
    swedish = load_texts("sv")
    said = set(messages())

    translated = {(one,) for one in swedish.messages}
    plurals = {ids for ids in said if len(ids) == 2 and ids[0] in swedish.plurals}

    assert said - translated - plurals == set()
    assert translated - said == set()
    assert set(swedish.plurals) == {ids[0] for ids in plurals}


def test_a_translation_fills_in_the_same_values() -> None:
    swedish = load_texts("sv")

    pairs = [*swedish.messages.items()]
    for ids in messages():
        if len(ids) == 2:
            pairs += zip(ids, swedish.plurals[ids[0]], strict=True)
    wrong = [
        (english, text)
        for english, text in pairs
        if set(PLACEHOLDER.findall(english)) != set(PLACEHOLDER.findall(text))
    ]

    assert wrong == []


def test_a_language_without_a_catalogue_speaks_the_message_ids(tmp_path: Path) -> None:
    texts = load_texts("da", tmp_path)

    assert texts.gettext("Send") == "Send"
    assert [texts.ngettext("%(num)s car", "%(num)s cars", n) for n in (1, 2)] == [
        "%(num)s car",
        "%(num)s cars",
    ]


def test_market_and_language_are_guessed_from_the_browser() -> None:
    wanted = [
        "sv-SE,sv;q=0.9",
        "sv-FI",
        "nb-NO,nb;q=0.9,en;q=0.8",
        "da",
        "fi-FI,en;q=0.5",
        "ja",
        "",
    ]

    assert [guess(header) for header in wanted] == [
        ("se", "sv"),
        ("fi", "sv"),
        ("no", "en"),
        ("dk", "en"),
        ("fi", "en"),
        ("se", "en"),
        ("se", "en"),
    ]


def test_a_remembered_place_must_be_one_of_ours() -> None:
    assert [remembered(value) for value in ("dk/sv", "us/en", "se", None)] == [
        ("dk", "sv"),
        None,
        None,
        None,
    ]
    assert set(LANGUAGES) == {"sv", "en"}
