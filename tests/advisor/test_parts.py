"""The advisor's pure parts: value functions, character, variety, texts."""

from __future__ import annotations

import string

import pytest

from app.advisor.diversity import diverse, similarity
from app.advisor.matching import advise, viewpoint
from app.advisor.needs import candidates_of
from app.advisor.personality import CHARACTER_SHARE, character_match
from app.advisor.texts import SENTENCES
from app.advisor.wishes import Scored, Value, along, score, wishes_of
from app.contracts.advisor import MatchRequest
from app.contracts.catalog import TRAITS
from tests.builders.showroom import TUESDAY, shipped_showroom


def ranked(**fields: object) -> list[Scored]:
    request = MatchRequest.model_validate({"market": "SE", **fields})
    room = shipped_showroom()
    offers = room.offers(rehearsal=False, market="SE")
    candidates = candidates_of(request.needs, offers, room.models)
    return score(candidates, wishes_of(request, candidates, viewpoint(request, TUESDAY)))


@pytest.mark.parametrize(
    ("value", "utility"),
    [(-5, 1.0), (0, 1.0), (1, 0.9), (2, 0.8), (4.5, 0.65), (7, 0.5), (99, 0.0), (None, 0.5)],
)
def test_a_value_function_is_linear_between_its_points(value: Value, utility: float) -> None:
    assert along((0, 1.0), (2, 0.8), (7, 0.5), (30, 0.0))(value) == pytest.approx(utility)


def test_trait_wishes_together_are_one_minus_the_mean_distance() -> None:
    wanted = {"sporty": 0.9, "comfort": 0.2, "practical": 0.5}

    for scored in ranked(preferences=wanted):
        traits = [rating for rating in scored.ratings if rating.wish.code in TRAITS]
        together = sum(rating.wish.weight * rating.utility for rating in traits)
        match = character_match(wanted, scored.candidate.model.personality)
        assert together == pytest.approx(CHARACTER_SHARE * match)


def test_without_stated_traits_character_has_no_weight() -> None:
    codes = {rating.wish.code for rating in ranked()[0].ratings}

    assert codes == {"price", "space", "emissions", "soon"}


def test_the_best_match_stays_and_the_others_are_more_varied() -> None:
    everything = ranked(preferences={"practical": 0.9})

    def sameness(chosen: list[Scored]) -> float:
        models = [scored.candidate.model for scored in chosen]
        pairs = [(a, b) for i, a in enumerate(models) for b in models[i + 1 :]]
        return sum(similarity(a, b) for a, b in pairs) / len(pairs)

    chosen = diverse(everything, 5)
    assert chosen[0] is everything[0]
    assert chosen == sorted(chosen, key=everything.index)
    assert sameness(chosen) < sameness(everything[:5])


def test_every_language_has_the_same_sentences_with_the_same_numbers_in_them() -> None:
    def shape(language: str) -> dict[str, set[str]]:
        return {
            key: {name.lower() for _, name, _, _ in string.Formatter().parse(text) if name}
            for key, text in SENTENCES[language].items()
        }

    assert shape("sv") == shape("en")


@pytest.mark.parametrize(
    ("language", "market", "price"),
    [
        ("sv", "SE", "kr"),
        ("en", "SE", "SEK"),
        ("sv", "FI", "€"),
        ("en", "FI", "EUR"),
    ],
)
def test_prices_are_written_as_the_language_writes_them(
    language: str, market: str, price: str
) -> None:
    request = MatchRequest.model_validate({"market": market, "limit": 20})
    advice = advise(shipped_showroom(), request, now=TUESDAY, language=language, rehearsal=False)

    texts = [
        reason.text
        for match in advice.matches
        for reason in (*match.because, *match.trade_offs)
        if reason.code == "price"
    ]
    assert texts
    assert all(price in text for text in texts)
    grouping = "\u00a0" if language == "sv" else ","
    assert all(grouping in text for text in texts)
