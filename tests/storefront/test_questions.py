"""The advisor's questions and the answers in addresses."""

from __future__ import annotations

from urllib.parse import parse_qsl

from app.contracts.advisor import Location, MatchRequest, Needs, Relaxation
from app.storefront.filters import City
from app.storefront.places import PLACES
from app.storefront.questions import STEPS, Answers, match_request, merged, read_answers, relaxed

FAMILY = Answers(
    seats=5,
    child_seats=2,
    luggage_litres=550,
    max_price=50_000_000,
    fuels=("electric", "hybrid"),
    near="Solna",
    colours=("blue",),
    traits={"practical": 4, "sporty": 1},
)


def test_answers_survive_the_address() -> None:
    assert read_answers(parse_qsl(FAMILY.query())) == FAMILY


def test_nonsense_is_left_out_and_the_middle_means_no_preference() -> None:
    query = "seats=99&fuels=steam&sporty=7&practical=2&comfort=3&max_price=abc"

    assert read_answers(parse_qsl(query)) == Answers(traits={"comfort": 3})


def test_a_step_replaces_its_own_answers_only() -> None:
    people = next(step for step in STEPS if step.code == "people")
    character = next(step for step in STEPS if step.code == "character")

    fewer = merged(FAMILY, people, [("seats", "2"), ("child_seats", "")])
    calmer = merged(FAMILY, character, [("sporty", "0"), ("practical", "2")])

    assert (fewer.seats, fewer.child_seats, fewer.near) == (2, None, "Solna")
    assert (calmer.traits, calmer.seats) == ({"sporty": 0}, 5)


def test_the_advisor_is_asked_in_its_own_terms() -> None:
    cities = {"solna": City("Solna", 59.36, 18.0)}

    assert match_request(FAMILY, PLACES["se"], cities) == MatchRequest(
        market="SE",
        needs=Needs(
            seats=5,
            child_seats=2,
            luggage_litres=550,
            max_price=50_000_000,
            fuels=["electric", "hybrid"],
        ),
        preferences={"practical": 1.0, "sporty": 0.25},
        location=Location(lat=59.36, lon=18.0),
        colours=["blue"],
        limit=5,
    )


def test_a_relaxation_is_an_address_with_one_need_loosened() -> None:
    def loosen(need: str, to: float | list[str] | None) -> str | None:
        wire = {"need": need, "from": None, "to": to, "models": 1, "cars": 2}
        return relaxed(FAMILY, Relaxation.model_validate(wire))

    assert read_answers(parse_qsl(loosen("seats", 4) or "")).seats == 4
    assert read_answers(parse_qsl(loosen("max_price", None) or "")).max_price is None
    assert read_answers(parse_qsl(loosen("fuels", []) or "")).fuels == ()
    assert loosen("bodies", ["suv"]) is None
