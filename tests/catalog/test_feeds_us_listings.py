"""The scraped listings: our own sample always, the real file where it lies beside us."""

from __future__ import annotations

from collections import Counter
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest

from app.catalog.feeds.record import (
    CarWltp,
    FeedContext,
    FeedUnreadable,
    Handover,
    Notice,
    NoticeCode,
    Parsed,
    Reason,
    Rejection,
    StockRecord,
)
from app.catalog.feeds.us_listings import ADAPTER
from app.catalog.range.loading import load_range

TESTS = Path(__file__).parents[1]
SAMPLE = TESTS / "fixtures" / "us_listings_sample.csv"
REAL = TESTS.parents[1] / "shared" / "data" / "us_listings.csv"
FILES = [path for path in (SAMPLE, REAL) if path.exists()]
TODAY = date(2026, 11, 22)


def _read(content: bytes, market: str = "US") -> list[Parsed]:
    return list(ADAPTER.read(BytesIO(content), FeedContext.of("us", market, load_range(), TODAY)))


def _rows(outcomes: list[Parsed]) -> list[StockRecord | Rejection]:
    return [outcome for outcome in outcomes if not isinstance(outcome, Notice)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_row_is_accepted_or_rejected_exactly_once_and_in_order(path: Path) -> None:
    content = path.read_bytes()
    rows = _rows(_read(content))
    assert [row.row for row in rows] == list(range(2, len(content.splitlines()) + 1))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_accepted_car_has_a_price_that_nobody_would_believe(path: Path) -> None:
    cars = [row for row in _rows(_read(path.read_bytes())) if isinstance(row, StockRecord)]
    assert cars
    assert all(50_000 <= car.offer.price_minor <= 50_000_000 for car in cars)
    assert {car.offer.currency for car in cars} == {"USD"}
    assert len({car.vin for car in cars}) == len(cars)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_rejection_says_what_is_wrong_and_never_repeats_a_vin(path: Path) -> None:
    outcomes = _read(path.read_bytes())
    cells = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    vins = {row[8].strip() for row in cells if len(row) > 8}
    spoken = [o for o in outcomes if not isinstance(o, StockRecord)]
    assert all(o.message.startswith(f"Row {o.row}: ") and len(o.message) > 30 for o in spoken)
    assert not [o for o in spoken if any(vin in f"{o.message}{o.value}".casefold() for vin in vins)]


def test_the_sample_is_sorted_into_cars_and_reasons() -> None:
    rows = _rows(_read(SAMPLE.read_bytes()))
    told = {
        row.stock_id: "accepted" if isinstance(row, StockRecord) else row.reason for row in rows
    }
    assert told == {
        "1": "accepted",
        "2": Reason.SALVAGE_TITLE,
        "3": "accepted",
        "4": Reason.PRICE_NOT_POSITIVE,
        "5": Reason.PRICE_IMPLAUSIBLE,
        "6": Reason.DUPLICATE_VIN,
        "7": Reason.DUPLICATE_VIN,
        "8": Reason.COUNTRY_NOT_OF_MARKET,
        "9": Reason.VIN_MALFORMED,
        "10": Reason.LISTING_EXPIRED,
        "11": "accepted",
        "12": Reason.NOT_A_CAR,
        "13": Reason.MILEAGE_IMPLAUSIBLE,
        "14": Reason.PRICE_NOT_POSITIVE,
        "15": "accepted",
        "16": Reason.UNKNOWN_DEALER,
        "17": Reason.MALFORMED_VALUE,
        "18": Reason.MALFORMED_VALUE,
        "19": Reason.ROW_TRUNCATED,
    }


def test_what_the_listing_does_not_say_stays_empty_and_is_remarked() -> None:
    outcomes = _read(SAMPLE.read_bytes())
    mpv = next(o for o in outcomes if isinstance(o, StockRecord) and o.stock_id == "3")
    remarks = {o.code for o in outcomes if isinstance(o, Notice) and o.stock_id == "3"}
    assert (mpv.title, mpv.model, mpv.model_id, mpv.body) == ("Tolvik 2017", "", None, None)
    assert (mpv.colour.family, mpv.colour.name, mpv.colour.hex) == ("other", "", None)
    assert (mpv.fuel, mpv.transmission, mpv.power_kw, mpv.trim) == (None, None, None, None)
    assert (mpv.wltp, mpv.handover, mpv.odometer_km) == (CarWltp(), Handover(), 75364)
    assert {NoticeCode.MODEL_NOT_STATED, NoticeCode.COLOUR_MISSING} <= remarks


def _model(brand: str, model: str) -> StockRecord | Rejection:
    header, first = SAMPLE.read_text(encoding="utf-8").splitlines()[:2]
    cells = first.split(",")
    columns = header.split(",")
    cells[columns.index("brand")], cells[columns.index("model")] = brand, model
    [row] = _rows(_read(f"{header}\n{','.join(cells)}\n".encode()))
    return row


@pytest.mark.parametrize(
    ("model", "body"),
    [
        *[(word, None) for word in ("mpv", "wagon", "van", "vans", "bus", "truck", "cutaway")],
        *[(word, None) for word in ("passenger", "ld", "utility", "connect", "limited", "nvp")],
        *[(word, None) for word in ("xd", "5", "m", "4dr", "4-door", "4 Door", "AWD", "Cruiser")],
        *[(word, None) for word in ("unknown", "other", "N/A", "none", "-", ".", "--", "?", "tbd")],
        *[(word, None) for word in ("unspecified", "not specified", "not available", "No Model")],
        *[
            (word, None)
            for word in ("hatch", "estate", "cabriolet", "targa", "supercrew", "plug-in")
        ],
        *[
            (word, None)
            for word in ("supercab", "crewmax", "unlimited", "sport utility", "crew cab")
        ],
        *[
            (word, None)
            for word in ("full-size van", "all wheel drive", "limited edition", "4x4 SE")
        ],
        *[(word, "hatchback") for word in ("5-door hatchback", "hatchback 5dr", "Hatchback/Door")],
        *[(word, "pickup") for word in ("pickup truck", "Crew Cab Pickup", "pickup (long bed)")],
        ("convertible coupe", None),
        ("pickup", "pickup"),
        ("Coupe", "coupe"),
        ("hatchback", "hatchback"),
    ],
)
def test_a_word_that_names_no_model_is_none_and_only_plain_bodies_are_believed(
    model: str, body: str | None
) -> None:
    car = _model("chevrolet", model)
    assert isinstance(car, StockRecord)
    assert (car.make, car.model, car.body) == ("Chevrolet", "", body)


@pytest.mark.parametrize(
    ("brand", "model", "title"),
    [
        ("ford", "f-150", "Ford F-150"),
        ("ford", "f-350", "Ford F-350"),
        ("fiat", "500", "Fiat 500"),
        ("audi", "5000", "Audi 5000"),
        ("mazda", "cx-5", "Mazda Cx-5"),
        ("ram", "3500", "Ram 3500"),
        ("lexus", "ls", "Lexus Ls"),
        ("land", "discovery", "Land Rover Discovery"),
        ("bmw", "3 series", "BMW 3 Series"),
        ("mercedes-benz", "c class", "Mercedes-Benz C Class"),
        ("mercedes-benz", "e 450", "Mercedes-Benz E 450"),
        ("tesla", "model 3", "Tesla Model 3"),
        ("toyota", "land cruiser", "Toyota Land Cruiser"),
        ("oldsmobile", "custom cruiser", "Oldsmobile Custom Cruiser"),
        ("nissan", "rogue sport", "Nissan Rogue Sport"),
        ("ford", "transit connect", "Ford Transit Connect"),
        ("dodge", "r/t", "Dodge R/T"),
    ],
)
def test_a_model_keeps_its_name(brand: str, model: str, title: str) -> None:
    car = _model(brand, model)
    assert isinstance(car, StockRecord)
    assert f"{car.make} {car.model}" == title


LORRIES = {
    "ford": "f-550;F-650;f750;f 800 chassis;f-59;f-650sd;super duty f-650;"
    "F-650 XLT;lcf;e-450;ln8000",
    "ram": "4500;5500;5500HD",
    "dodge": "ram 5500;d600",
    "chevrolet": "4500hd;c5500;kodiak;silverado 4500hd;silverado 5500hd;w4500;express 4500;c60",
    "gmc": "topkick;sierra 5500;t7500;medium duty",
    "isuzu": "npr;NPR-HD;nqr;nrr;ftr;fvr;npr75",
    "volvo": "vnl;VNL 760;vhd;vnr64t;fh16",
    "mitsubishi": "fuso;canter;fe140",
    "nissan": "ud;ud 1400",
    "mercedes-benz": "actros",
    "honda": "cbr600rr;gold wing;CRF 450R;trailer",
    "bmw": "r 1200 gs;S1000RR;motorcycle",
    "suzuki": "gsx-r1000;v-strom;DR-Z400",
    "triumph": "bonneville;street triple",
}
NO_CAR_MAKES = (
    "freightliner;yamaha;sterling;autocar;scania;ic bus;IC;gillig;ud;UD Trucks;fuso;"
    "mitsubishi fuso;vespa;aprilia;can-am;Can Am;royal enfield;harley davidson;zero motorcycles;"
    "big tex;Big Tex Trailers;kubota;sea ray;bayliner;john-deere;thomas built buses;"
    "Western Star Trucks;nova bus"
)
CARS = {
    "acura": "integra;mdx;rdx;tlx;nsx;rsx",
    "audi": "a4;q5;tt;r8;s4;rs 5;e-tron;allroad;v8",
    "bmw": "x3;x5;m3;m4;z4;i3;328i;530e;2002;m850i;3 series;isetta",
    "buick": "enclave;encore;lacrosse;regal",
    "cadillac": "cts;srx;escalade;xt5;fleetwood",
    "chevrolet": "1500;2500;3500;silverado 3500hd;c10;k5;corvette c7;s-10;tahoe;express 3500;"
    "ssr;astro;ss",
    "chrysler": "300;pacifica;town & country;pt cruiser",
    "dodge": "challenger;ram 3500;600;caravan;journey;sprinter 3500;viper;d150",
    "ferrari": "f430;550 maranello;f 8",
    "fiat": "500;500l;124 spider",
    "ford": "f-150;f-250;f-350;f-450;e-350;transit;ltd;mustang;flex;c-max;gt;fiesta;"
    "falcon;super duty f-350",
    "genesis": "g70;g80;gv80",
    "gmc": "1500;2500hd;sierra 3500;yukon;savana;jimmy",
    "honda": "accord;cr-v;cr-z;crx;hr-v;pilot;s2000;fit;element;n600;civic;passport;ridgeline",
    "hyundai": "sonata;santa fe;kona;ioniq 5",
    "infiniti": "q50;fx35;qx60;g37",
    "isuzu": "rodeo;trooper;i-280;hombre;ascender;vehicross",
    "jeep": "wrangler;gladiator;cj-7;compass;scrambler",
    "kia": "sorento;k5;ev6;soul",
    "lexus": "ls;gx;rx 350;nx;is 250",
    "mazda": "cx-5;miata;mx-5;rx-8;b2300;3",
    "mercedes-benz": "e 450;c 400;g 550;sprinter;metris;gle;sl-class;c-class",
    "mini": "cooper;countryman",
    "mitsubishi": "outlander;eclipse;lancer;mirage;3000gt;montero;fto",
    "nissan": "titan;titan xd;frontier;rogue;350z;nv200;versa;leaf;370z;juke",
    "porsche": "911;cayenne;924;taycan",
    "ram": "1500;2500;3500;promaster",
    "rivian": "r1t;r1s",
    "subaru": "brz;wrx;forester;outback",
    "suzuki": "sx4;kizashi;xl7;samurai;x-90;grand vitara;swift",
    "tesla": "model 3;model s;cybertruck",
    "toyota": "tacoma;4runner;86;c-hr;fj cruiser;t100;tundra;rav4",
    "triumph": "tr6;spitfire;stag;gt6",
    "volkswagen": "gti;golf;id.4;tiguan;thing",
    "volvo": "xc90;v60;s60;c70;240;p1800;v70;ex30;xc40",
}


@pytest.mark.parametrize(
    ("brand", "model"),
    [
        *((make, model) for make, models in LORRIES.items() for model in models.split(";")),
        *((make, "rs") for make in NO_CAR_MAKES.split(";")),
    ],
)
def test_a_lorry_or_motorcycle_is_no_car(brand: str, model: str) -> None:
    told = _model(brand, model)
    assert isinstance(told, Rejection)
    assert told.reason == Reason.NOT_A_CAR


@pytest.mark.parametrize(
    ("brand", "model"),
    [(make, model) for make, models in CARS.items() for model in models.split(";")],
)
def test_an_ordinary_car_is_a_car(brand: str, model: str) -> None:
    assert isinstance(_model(brand, model), StockRecord)


def test_a_source_without_dealers_gets_one_per_place() -> None:
    car = next(row for row in _rows(_read(SAMPLE.read_bytes())) if isinstance(row, StockRecord))
    assert (car.dealer.dealer_id, car.dealer.region, car.dealer.timezone) == (
        "US-NV",
        "Nevada",
        "America/Los_Angeles",
    )
    assert car.dealer.place_is_approximate


def test_a_colour_is_mapped_by_its_plain_words_or_not_at_all() -> None:
    colours = {
        row.stock_id: (row.colour.family, row.colour.name)
        for row in _rows(_read(SAMPLE.read_bytes()))
        if isinstance(row, StockRecord)
    }
    assert colours == {
        "1": ("black", "black"),
        "3": ("other", ""),
        "11": ("other", "magnetic metallic"),
        "15": ("red", "ruby red metallic tinted clearcoat"),
    }


def test_the_listings_are_refused_in_another_market() -> None:
    with pytest.raises(FeedUnreadable, match="belong to the market US, not to SE"):
        _read(SAMPLE.read_bytes(), market="SE")


def _listings(*changes: dict[str, str]) -> list[str]:
    """What becomes of the sample's first listing, once for each change, with a column unread."""
    header, first = SAMPLE.read_text(encoding="utf-8").splitlines()[:2]
    columns = [*header.split(","), "note"]
    lines = [",".join(columns)]
    for number, change in enumerate(changes, start=1):
        values = dict(zip(columns, [*first.split(","), ""], strict=True))
        vin = f"1M8GDM9AXKP0427{number:02}"
        lines.append(",".join({**values, "id": str(number), "vin": vin, **change}.values()))
    return [
        row.stock_id if isinstance(row, StockRecord) else row.reason
        for row in _rows(_read(("\n".join(lines) + "\n").encode()))
    ]


@pytest.mark.parametrize(
    "text",
    ['"19" alloys', '19" alloys', '"open', '"a, b"', '"a\nb"', '"a" ', '""', "x" * 140_000, "a\0b"],
)
def test_nobody_minds_what_stands_in_a_column_that_is_not_read(text: str) -> None:
    assert _listings({"note": text}, {}, {"note": text}) == ["1", "2", "3"]


@pytest.mark.parametrize("text", ['"blue', '"blue"ish', '"blue, dark'])
def test_broken_quoting_costs_its_own_row_and_no_other(text: str) -> None:
    first, second, third = _listings({}, {"color": text}, {})
    assert (first, third) == ("1", "3")
    assert second in (Reason.MALFORMED_VALUE, Reason.ROW_TOO_LONG)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_kind_of_odd_row_in_the_file_has_its_own_reason(path: Path) -> None:
    reasons = Counter(o.reason for o in _read(path.read_bytes()) if isinstance(o, Rejection))
    assert {
        Reason.SALVAGE_TITLE,
        Reason.PRICE_NOT_POSITIVE,
        Reason.PRICE_IMPLAUSIBLE,
        Reason.DUPLICATE_VIN,
        Reason.COUNTRY_NOT_OF_MARKET,
        Reason.LISTING_EXPIRED,
        Reason.NOT_A_CAR,
        Reason.VIN_MALFORMED,
    } <= set(reasons)
