"""A car as a card shows it: its picture, its words, its numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.contracts.catalog import MAKE, Car, Dealer, Model
from app.kernel.opening import Calendar, closing_today
from app.storefront.formats import Formats
from app.storefront.pictures import subject_of_car
from app.storefront.texts import Texts
from app.storefront.vocabulary import COLOURS, CONDITIONS, FUELS, feature


@dataclass(frozen=True, slots=True)
class Card:
    """What a template needs of one car. `picture` is to scale, `portrait` fills its frame."""

    car: Car
    name: str
    trim: str
    colour: str
    facts: str
    price: str
    saving: str
    ready: str
    distance: str
    picture: str
    portrait: str
    alt: str


def card_of(
    car: Car, models: Mapping[str, Model], formats: Formats, dealer: Dealer | None = None
) -> Card:
    """The card of a car; `dealer` is needed for one that is held, which nobody else is offered."""
    texts = formats.texts
    today = car.ready_today or (dealer is not None and _by_closing(car, dealer, formats))
    subject = subject_of_car(car, dict(models))
    colour = colour_name(car, models, texts)
    distance = car.dealer.distance_km
    return Card(
        car=car,
        # Our own make need not be said on every card.
        name=car.model_name if car.make == MAKE else f"{car.make} {car.model_name}",
        trim=car.trim or "",
        colour=colour,
        facts=" · ".join(_facts(car, formats)),
        price=formats.money(car.price),
        saving=_saving(car, formats),
        ready=formats.ready(car.ready_for_handover_at, today=today),
        distance="" if distance is None or distance < 1 else formats.distance(distance),
        picture=subject.url(car.colour.hex, to_scale=True),
        portrait=subject.url(car.colour.hex),
        alt=texts.gettext("%(car)s in %(colour)s, drawn from the side")
        % {"car": f"{car.make} {car.model_name}", "colour": colour},
    )


def cards_of(cars: Iterable[Car], models: Mapping[str, Model], formats: Formats) -> list[Card]:
    return [card_of(car, models, formats) for car in cars]


def one_per_model(cars: Iterable[Car]) -> list[Car]:
    """The first car of each model: a row of cars should show the range, not one model six times."""
    chosen: dict[str, Car] = {}
    for car in cars:
        chosen.setdefault(car.model_id or car.car_id, car)
    return list(chosen.values())


def spread(cars: list[Car], limit: int) -> list[Car]:
    """Evenly chosen from a sorted list: a row that shows the whole of it."""
    if len(cars) <= limit:
        return cars
    return [cars[round(i * (len(cars) - 1) / (limit - 1))] for i in range(limit)]


def most_alike(car: Car, others: list[Car], limit: int) -> list[Car]:
    """Others of about its price; another model or paint each while there are such."""
    near = sorted(
        (other for other in others if other.car_id != car.car_id),
        key=lambda other: (abs(other.price.amount - car.price.amount), other.car_id),
    )
    chosen: dict[tuple[str | None, str], Car] = {}
    for other in near:
        chosen.setdefault((other.model_id, other.colour.family), other)
    first = list(chosen.values())[:limit]
    return [*first, *(other for other in near if other not in first)][:limit]


def colour_name(car: Car, models: Mapping[str, Model], texts: Texts) -> str:
    """The paint's name in the shopper's language when it is a house colour."""
    model = models.get(car.model_id or "")
    for paint in model.paints if model else ():
        if paint.code == car.colour.code:
            return paint.name.get(texts.language, car.colour.name)
    family = COLOURS.get(car.colour.name.lower())
    return texts.gettext(family[0]) if family else car.colour.name


def features_of(car: Car, texts: Texts) -> list[str]:
    return [texts.gettext(feature(word)) for word in car.features]


def _by_closing(car: Car, dealer: Dealer, formats: Formats) -> bool:
    closing = closing_today(Calendar.of(dealer), formats.now)
    ready = car.ready_for_handover_at
    return closing is not None and ready is not None and ready < closing


def _facts(car: Car, formats: Formats) -> list[str]:
    gettext = formats.texts.gettext
    facts: list[str] = []
    if car.condition == "new":
        facts.append(gettext(CONDITIONS[car.condition]))
    elif car.odometer_km is not None:
        facts.append(f"{formats.number(car.odometer_km, 0)}\N{NO-BREAK SPACE}km")
    if car.model_year:
        facts.append(str(car.model_year))
    if car.fuel and car.fuel in FUELS:
        facts.append(gettext(FUELS[car.fuel]))
    if car.wltp.electric_range_km and car.fuel == "electric":
        facts.append(f"{formats.number(car.wltp.electric_range_km, 0)}\N{NO-BREAK SPACE}km WLTP")
    return facts


def _saving(car: Car, formats: Formats) -> str:
    """How much less than new, when the feed says both and it is worth a word."""
    listed = car.list_price
    if listed is None or listed.currency != car.price.currency:
        return ""
    saved = listed.amount - car.price.amount
    if saved < listed.amount * 0.01:
        return ""
    return formats.money(listed.model_copy(update={"amount": saved}))
