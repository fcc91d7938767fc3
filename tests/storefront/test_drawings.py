"""Drawings of cars: what every picture must be, whatever numbers the catalogue sends."""

from __future__ import annotations

import json
import random
import re
import xml.etree.ElementTree as ET
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import pytest

from app.contracts.catalog import BODIES, FUELS, LIGHT_SIGNATURES
from app.storefront.drawings import Shape, draw, shape_from
from app.storefront.drawings.canvas import canvas_for
from app.storefront.drawings.glass import glass
from app.storefront.drawings.outline import outline
from app.storefront.drawings.paint import contrast, lightness, ramp
from app.storefront.drawings.samples import PAINTS, SAMPLES
from app.storefront.drawings.shape import RANGES
from app.storefront.drawings.sheet import main, read_shapes
from app.storefront.drawings.stance import stance

SVG = "{http://www.w3.org/2000/svg}"
SEDAN = SAMPLES["sedan"]

#: Plausible size ranges per body: length, height, clearance, rim.
SIZES = {
    "hatchback": ((3600, 4450), (1400, 1580), (120, 190), (15, 20)),
    "sedan": ((4400, 5250), (1390, 1500), (120, 165), (17, 21)),
    "estate": ((4400, 5050), (1420, 1560), (125, 210), (17, 21)),
    "suv": ((4100, 5150), (1560, 1820), (170, 250), (18, 22)),
    "coupe": ((4200, 5000), (1260, 1420), (100, 150), (18, 21)),
    "convertible": ((3950, 4900), (1240, 1420), (105, 155), (17, 21)),
    "mpv": ((4200, 5200), (1600, 1850), (130, 190), (16, 20)),
    "van": ((4400, 5500), (1800, 2100), (140, 200), (16, 19)),
    "pickup": ((4900, 5700), (1740, 1920), (200, 280), (17, 21)),
}


def tree(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - the text is our own drawing


def plausible_shapes(count: int, seed: int) -> list[Shape]:
    rng = random.Random(seed)
    shapes = []
    for index in range(count):
        body = BODIES[index % len(BODIES)]
        length, height, clearance, rim = SIZES[body]
        long = rng.randint(*length)
        shapes.append(
            Shape(
                body=body,
                length_mm=long,
                height_mm=rng.randint(*height),
                wheelbase_mm=round(long * rng.uniform(0.585, 0.64)),
                ground_clearance_mm=rng.randint(*clearance),
                wheel_inches=rng.randint(*rim),
                doors=rng.choice((2, 3) if body in ("coupe", "convertible") else (4, 5)),
                fuel=rng.choice(FUELS),
                roofline_drop=rng.random(),
                nose_length=rng.random(),
                beltline=rng.random(),
                rear_rake=rng.random(),
                light_signature=rng.choice(LIGHT_SIGNATURES),
                cladding=rng.random() < 0.3,
                roof_rails=rng.random() < 0.3,
                two_tone=rng.random() < 0.3,
            )
        )
    return shapes


def corner_shapes() -> list[Shape]:
    """Every body with all design parameters low or high, wheelbase short or long."""
    return [
        replace(
            sample,
            roofline_drop=level,
            nose_length=level,
            beltline=level,
            rear_rake=level,
            wheelbase_mm=round(sample.length_mm * share),
        )
        for sample in SAMPLES.values()
        for level in (0.0, 1.0)
        for share in (0.52, 0.68)
    ]


EVERY = [*SAMPLES.values(), *plausible_shapes(54, seed=7), *corner_shapes()]


def path_points(data: str) -> list[tuple[float, float]]:
    """Absolute end and control points of path data made of M, L, h, l, c, Q and Z."""
    points: list[tuple[float, float]] = []
    x = y = 0.0
    for command, rest in re.findall(r"([A-Za-z])([^A-Za-z]*)", data):
        numbers = [float(n) for n in re.findall(r"-?\d*\.?\d+", rest)]
        if command == "h":
            x += numbers[0]
            points.append((x, y))
            continue
        pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
        stride = 3 if command == "c" else 1
        for start in range(0, len(pairs), stride):
            group = pairs[start : start + stride]
            if command.islower():
                group = [(x + dx, y + dy) for dx, dy in group]
            points += group
            x, y = group[-1]
    return points


def body_path(svg: str) -> str:
    found = re.search(r'<path id="v[0-9a-f]+b" d="([^"]+)"', svg)
    assert found
    return found[1]


@pytest.mark.parametrize("shape", EVERY)
def test_every_drawing_is_well_formed_small_and_stays_on_its_sheet(shape: Shape) -> None:
    svg = draw(shape, "#1f3d2f", title="A car")
    root = tree(svg)
    assert (root.tag, root.get("role")) == (SVG + "svg", "img")
    assert len(svg.encode()) < 9_200
    assert "nan" not in svg
    assert "inf" not in svg
    left, top, width, height = (float(n) for n in root.attrib["viewBox"].split())
    for x, y in path_points(body_path(svg)):
        assert left <= x <= left + width
        assert top <= y <= top + height
    for element in root.iter():
        for name in ("r", "rx", "ry", "width", "height", "stroke-width"):
            value = element.get(name)
            assert value is None or value.endswith("%") or float(value) > 0


@pytest.mark.parametrize("shape", EVERY)
def test_the_contour_has_no_kink_and_no_gap_and_ends_at_the_bumpers(shape: Shape) -> None:
    top = outline(shape, stance(shape)).top
    for before, after in pairwise(top):
        assert before[3] == pytest.approx(after[0], abs=0.01)
        ax, ay = before[3][0] - before[2][0], before[3][1] - before[2][1]
        bx, by = after[1][0] - after[0][0], after[1][1] - after[0][1]
        assert ax * bx + ay * by > 0
        assert (
            abs(ax * by - ay * bx) < 0.03 * (ax * ax + ay * ay) ** 0.5 * (bx * bx + by * by) ** 0.5
        )
    xs = [point[0] for cubic in top for point in cubic]
    ys = [point[1] for cubic in top for point in cubic]
    assert min(xs) == pytest.approx(0, abs=1)
    assert max(xs) == pytest.approx(shape.length_mm, abs=1)
    if shape.body != "convertible":
        assert max(ys) == pytest.approx(shape.height_mm, abs=2)


@pytest.mark.parametrize("shape", EVERY)
def test_windows_lie_inside_the_body_between_waist_and_roof(shape: Shape) -> None:
    s = stance(shape)
    g = glass(shape, s, outline(shape, s))
    assert g.front_x < g.rear_x
    for cubic in g.opening:
        for x, y in cubic:
            assert 0.08 * shape.length_mm < x < shape.length_mm
            assert s.waist_front - 60 < y < shape.height_mm
    spread = max((p[1] for c in g.opening for p in c), default=0) - s.waist_front
    if g.opening:
        assert 0.18 * shape.height_mm < spread < 0.42 * shape.height_mm


@pytest.mark.parametrize("shape", EVERY)
def test_wheels_stand_on_the_ground_one_wheelbase_apart_inside_the_body(shape: Shape) -> None:
    root = tree(draw(shape, "#b9bec3", title="A car"))
    spots = [
        (float(use.attrib["x"]), float(use.attrib["y"]))
        for use in root.findall(f"{SVG}use")
        if use.attrib["href"].endswith("r")
    ]
    tyre = float(next(root.iter(f"{SVG}g")).find(f"{SVG}circle").attrib["r"])  # type: ignore[union-attr]
    (front, front_y), (rear, rear_y) = spots
    assert rear - front == pytest.approx(shape.wheelbase_mm, abs=0.1)
    assert [front_y, rear_y] == pytest.approx([-tyre, -tyre])
    assert front - tyre > 0
    assert rear + tyre < shape.length_mm
    assert tyre > shape.wheel_inches * 25.4 / 2


def test_wheels_of_a_car_are_near_half_its_height() -> None:
    for name in ("hatchback", "sedan", "estate", "coupe", "convertible", "suv"):
        share = 2 * stance(SAMPLES[name]).tyre / SAMPLES[name].height_mm
        assert 0.43 < share < 0.53


def test_a_title_is_escaped_and_names_the_picture() -> None:
    title = 'Ellevar <Fjell> & "Sund"'
    root = tree(draw(SEDAN, "#101214", title=title))
    heading = root.find(f"{SVG}title")
    assert heading is not None
    assert heading.text == title
    assert root.get("aria-labelledby") == heading.get("id")


def test_ids_never_collide_between_different_drawings_on_a_page() -> None:
    drawings = [draw(s, p, title="A car") for s in SAMPLES.values() for p in PAINTS.values()]
    drawings += [draw(SEDAN, "#101214", title="A car", key=f"stock-{n}") for n in range(3)]
    ids = [found for svg in drawings for found in re.findall(r'\bid="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))


def test_a_kept_picture_drawn_again_for_another_car_has_the_other_cars_ids() -> None:
    one, two = (draw(SEDAN, "#101214", title=title) for title in ("One", "Two"))
    prefixes = [set(re.findall(r"\bv[0-9a-f]{10}", svg)) for svg in (one, two)]
    assert [len(found) for found in prefixes] == [1, 1]
    assert prefixes[0] != prefixes[1]
    assert "\0" not in one + two


def test_every_reference_within_a_drawing_has_its_target() -> None:
    for shape in SAMPLES.values():
        svg = draw(shape, "#9e1b22", title="A car")
        wanted = set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
        assert wanted <= set(re.findall(r'\bid="([^"]+)"', svg))


def test_the_same_arguments_give_the_same_drawing() -> None:
    assert draw(SEDAN, "#9E1B22", title="A") == draw(replace(SEDAN), "#9e1b22", title="A")


def test_each_body_style_has_its_own_contour_from_the_same_numbers() -> None:
    shapes = [replace(SEDAN, body=body, height_mm=1600) for body in BODIES]
    assert len({body_path(draw(s, "#b9bec3", title="A")) for s in shapes}) == len(BODIES)


def test_no_two_of_many_models_look_alike() -> None:
    shapes = plausible_shapes(26, seed=26)
    assert len({body_path(draw(s, "#b9bec3", title="A")) for s in shapes}) == 26


@pytest.mark.parametrize("name", ["roofline_drop", "nose_length", "beltline", "rear_rake"])
def test_each_design_parameter_changes_the_drawing(name: str) -> None:
    low, high = (
        draw(shape_from({**asdict(SEDAN), name: level}), "#b9bec3", title="A", key="k")
        for level in (0.2, 0.8)
    )
    assert re.sub(r"v[0-9a-f]{10}", "", low) != re.sub(r"v[0-9a-f]{10}", "", high)


def test_the_paint_is_in_the_picture_and_short_hex_means_the_same() -> None:
    assert "#aa2233" in draw(SEDAN, "#a23", title="A car")


def test_white_keeps_an_edge_on_paper_and_black_keeps_its_form() -> None:
    white, black = ramp("#f2f2ef"), ramp("#101214")
    assert contrast(white.edge, "#f6f4f0") > 3
    assert contrast(white.sky, white.deep) > 3
    assert lightness(black.sky) - lightness(black.base) > 0.1
    assert contrast(black.edge, "#12151a") > 1.5


def test_an_electric_car_has_neither_grille_nor_exhaust() -> None:
    electric, petrol = (
        draw(replace(SEDAN, fuel=fuel), "#b9bec3", title="A") for fuel in ("electric", "petrol")
    )
    assert "#7d8388" in petrol
    assert "#7d8388" not in electric


def test_a_drawing_fills_its_sheet_and_the_common_sheet_keeps_true_scale() -> None:
    small = replace(SAMPLES["hatchback"], length_mm=3700, wheelbase_mm=2400)
    large = replace(SAMPLES["suv"], length_mm=5100, wheelbase_mm=3080)
    for shape in (small, large):
        own = canvas_for(shape, to_scale=False)
        filled = max(shape.length_mm / own.width, shape.height_mm / own.height)
        assert 0.80 < filled < 0.95
    assert canvas_for(small, to_scale=True).width == canvas_for(large, to_scale=True).width


def test_a_width_in_pixels_brings_its_height() -> None:
    root = tree(draw(SEDAN, "#101214", title="A", width=280))
    assert (root.get("width"), root.get("height")) == ("280", "123")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[(name, low - 1) for name, (low, _) in RANGES.items()],
        *[(name, high + 1) for name, (_, high) in RANGES.items()],
        ("body", "spaceship"),
        ("fuel", "steam"),
        ("light_signature", "candle"),
        ("doors", 3.5),
        ("doors", True),
        ("beltline", "high"),
        ("beltline", float("nan")),
        ("cladding", "yes"),
        ("wheelbase_mm", 2100),
        ("body", ["sedan"]),
    ],
)
def test_a_value_that_cannot_be_drawn_is_refused_by_the_name_of_its_field(
    field: str, value: object
) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: "):
        replace(SEDAN, **{field: value})  # type: ignore[arg-type]


def test_a_car_too_tall_for_its_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^height_mm: 2200 is 63% of length_mm 3500"):
        replace(SEDAN, length_mm=3500, wheelbase_mm=2200, height_mm=2200)


@pytest.mark.parametrize("paint", ["red", "#12", "#gggggg", "", "url(#x)", '#fff"/>'])
def test_a_paint_that_is_no_hex_colour_is_refused(paint: str) -> None:
    with pytest.raises(ValueError, match=r"^paint: "):
        draw(SEDAN, paint, title="A")


@pytest.mark.parametrize("width", [0, -5, 20_000])
def test_a_width_that_is_no_picture_is_refused(width: int) -> None:
    with pytest.raises(ValueError, match=r"^width: "):
        draw(SEDAN, "#fff", title="A", width=width)


def test_decoded_json_makes_a_shape_and_odd_fields_are_named() -> None:
    values = {
        "body": "sedan", "length_mm": 4700, "height_mm": 1440, "wheelbase_mm": 2850,
        "ground_clearance_mm": 140, "wheel_inches": 18, "doors": 4, "fuel": "petrol",
    }  # fmt: skip
    assert shape_from(values) == Shape("sedan", 4700, 1440, 2850, 140, 18, 4, "petrol")
    with pytest.raises(ValueError, match=r"^wings: "):
        shape_from({**values, "wings": 2})
    with pytest.raises(ValueError, match=r"^doors: missing"):
        shape_from({k: v for k, v in values.items() if k != "doors"})


def test_the_contact_sheet_shows_the_given_shapes_in_the_given_paints(tmp_path: Path) -> None:
    source, out = tmp_path / "shapes.json", tmp_path / "sheet.html"
    row = {
        "name": "Fjell", "body": "suv", "length_mm": 4700, "height_mm": 1680, "wheelbase_mm": 2850,
        "ground_clearance_mm": 200, "wheel_inches": 19, "doors": 5, "fuel": "electric",
    }  # fmt: skip
    source.write_text(json.dumps([row]))
    main([str(out), "--shapes", str(source), "--paint", "#123456", "--paint", "#fff"])
    page = out.read_text()
    assert page.count("<svg") == 2
    assert "Fjell · #123456" in page
    source.write_text(json.dumps([{**row, "doors": 9}]))
    with pytest.raises(ValueError, match="shape Fjell: doors: 9 is outside"):
        read_shapes(source)
