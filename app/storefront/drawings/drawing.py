"""One car from the side: outline, light, glass, panels, lamps and wheels, back to front."""

from __future__ import annotations

from dataclasses import astuple
from functools import lru_cache
from hashlib import blake2s
from itertools import pairwise
from xml.sax.saxutils import escape

from app.storefront.drawings import light, panels, wheels
from app.storefront.drawings.canvas import Canvas, canvas_for, number, path
from app.storefront.drawings.cockpit import cockpit
from app.storefront.drawings.curve import straight
from app.storefront.drawings.glass import Glass, glass
from app.storefront.drawings.lights import Lamp, headlamp, taillamp
from app.storefront.drawings.outline import Outline, outline
from app.storefront.drawings.paint import Ramp, lightness, normal, ramp
from app.storefront.drawings.shape import Shape
from app.storefront.drawings.stance import Stance, stance

#: Stands for the ids' prefix in a kept picture; XML cannot contain it.
_NAME = "\0"


def draw(
    shape: Shape,
    paint: str,
    *,
    title: str,
    width: int | None = None,
    to_scale: bool = False,
    key: str = "",
) -> str:
    """Return a self-contained inline `<svg role="img">` of `shape` in `paint` (#rgb or #rrggbb).

    title: its accessible name, any text. width: pixels; without it the svg fills its container.
    to_scale: draw on the common sheet, where cars keep their sizes relative to one another.
    key: anything that tells two otherwise equal drawings on one page apart (a stock number), for
    their ids.
    ValueError names `paint` or `width` when they cannot be used. The same arguments give the same
    text.
    """
    if width is not None and (isinstance(width, bool) or not 1 <= width <= 10_000):
        raise ValueError(f"width: {width!r} is outside 1 to 10000 pixels")
    base = normal(paint)
    canvas = canvas_for(shape, to_scale=to_scale)
    name = _name(shape, base, title, to_scale, key)
    height = canvas.height / canvas.width
    size = "" if width is None else f' width="{width}" height="{round(width * height)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{name}t"'
        f' viewBox="{canvas.view_box}"{size}><title id="{name}t">{escape(title)}</title>'
        + _picture(shape, base, canvas).replace(_NAME, name)
        + "</svg>"
    )


@lru_cache(maxsize=1024)
def _picture(shape: Shape, base: str, canvas: Canvas) -> str:
    """Everything inside the svg element, with _NAME where the ids' prefix goes.

    Drawing takes milliseconds and a shop has few models and paints, so pictures are kept,
    some 9 kB each.
    """
    tones = ramp(base)
    s = stance(shape)
    o = outline(shape, s)
    g = glass(shape, s, o)
    return (
        _definitions(shape, s, o, tones, canvas, _NAME)
        + _floor(s, canvas, _NAME)
        + _underbody(s)
        + (cockpit(s) if shape.body == "convertible" else "")
        + _body(shape, s, o, tones, _NAME, g)
        + _glasshouse(shape, g, o, s, _NAME)
        + _details(shape, s, g, o, tones, _NAME)
        + _wheels(s, _NAME)
    )


def _name(shape: Shape, base: str, title: str, to_scale: bool, key: str) -> str:
    """Prefix of the drawing's ids: a letter and 40 bits of what it shows."""
    digest = blake2s(repr((astuple(shape), base, title, to_scale, key)).encode(), digest_size=5)
    return "v" + digest.hexdigest()


def _definitions(
    shape: Shape, s: Stance, o: Outline, tones: Ramp, canvas: Canvas, name: str
) -> str:
    return (
        "<defs>"
        + light.body_gradient(f"{name}p", s, tones)
        + light.ends_gradient(f"{name}e", s)
        + light.ground_gradient(f"{name}g")
        + light.fade_gradient(f"{name}f", canvas)
        + wheels.rim_gradient(name)
        + f'<linearGradient id="{name}w" x1="0" y1="0" x2=".12" y2="1"><stop offset="0"'
        f' stop-color="#5d6a73"/>'
        '<stop offset=".42" stop-color="#2a333a"/><stop offset="1"'
        ' stop-color="#14191d"/></linearGradient>'
        f'<filter id="{name}s" x="-5%" y="-20%" width="110%" height="140%">'
        f'<feGaussianBlur stdDeviation="{number(s.height * 0.009)}"/></filter>'
        f'<path id="{name}b" d="{o.body}"/>'
        f'<clipPath id="{name}c"><use href="#{name}b"/></clipPath>'
        f'<g id="{name}r">{wheels.wheel(shape, s, name)}</g></defs>'
    )


def _floor(s: Stance, canvas: Canvas, name: str) -> str:
    return "".join(
        f'<circle cx="{number(x)}" cy="{number(-s.tyre)}" r="{number(s.tyre)}"'
        f' transform="scale(1 -1)" fill="url(#{name}f)"/>'
        for x in (s.front_x, s.rear_x)
    ) + light.ground(f"{name}g", s, canvas)


def _underbody(s: Stance) -> str:
    """Wheel housings and floor, nearly black behind everything."""
    low = s.sill - 42
    pan = [
        ((s.front_x - s.arch * 0.9), s.tyre * 1.2),
        ((s.front_x - s.arch * 0.5), low),
        ((s.rear_x + s.arch * 0.5), low),
        ((s.rear_x + s.arch * 0.9), s.tyre * 1.2),
    ]
    floor = path([straight(a, b) for a, b in pairwise(pan)], close=True)
    houses = "".join(
        f'<circle cx="{number(x)}" cy="{number(-s.tyre)}" r="{number(s.arch + 8)}"/>'
        for x in (s.front_x, s.rear_x)
    )
    return f'<g fill="#08090a">{houses}<path d="{floor}"/></g>'


def _body(shape: Shape, s: Stance, o: Outline, tones: Ramp, name: str, g: Glass) -> str:
    roof = ""
    if shape.two_tone and g.cabin:
        contrast = "#16191b" if lightness(tones.base) > 0.32 else "#b4babf"
        roof = f'<path d="{path(g.cabin, close=True)}" fill="{contrast}"/>'
    lower = panels.cladding(s) if shape.cladding else panels.skirt(s)
    return (
        panels.exhaust(shape, s)
        + f'<use href="#{name}b" fill="url(#{name}p)"/>'
        + f'<g clip-path="url(#{name}c)">{roof}'
        + light.soft_light(s, o, tones, f"{name}s")
        + lower
        + f'<path d="{panels.grille(shape, s)}" fill="#0d0f11"/>'
        + f'<rect x="0" y="{-s.height:.0f}" width="{s.length:.0f}" height="{s.height:.0f}"'
        f' fill="url(#{name}e)"/>'
        + _lamp(headlamp(shape, s, o), "#fff", "#cfe6ff")
        + _lamp(taillamp(shape, s), "#ff4438", "#ff2a1f")
        + "</g>"
        + f'<use href="#{name}b" fill="none" stroke="{tones.edge}" stroke-width="6"'
        f' stroke-linejoin="round"/>'
    )


def _lamp(lamp: Lamp, line: str, halo: str) -> str:
    width = number(lamp.width)
    return (
        f'<path d="{lamp.housing}" fill="#121517" stroke="#121517" stroke-width="8"'
        f' stroke-linejoin="round"/>'
        '<g fill="none" stroke-linecap="round" stroke-linejoin="round">'
        f'<path d="{lamp.lines}" stroke="{halo}" stroke-opacity=".3"'
        f' stroke-width="{number(lamp.width * 2.6)}"/>'
        f'<path d="{lamp.lines}" stroke="{line}" stroke-width="{width}"/></g>'
    )


def _glasshouse(shape: Shape, g: Glass, o: Outline, s: Stance, name: str) -> str:
    screens = "".join(path(screen, close=True) for screen in g.screens)
    if not g.opening:
        return f'<path d="{path(g.waist)}" fill="none" stroke="#15181a" stroke-width="14"/>'
    opening = path(g.opening, close=True)
    posts = "".join(
        f'<path d="{path([straight(foot, head)])}" stroke-width="{number(width)}"/>'
        for foot, head, width in g.pillars
    )
    trim = "#202427" if shape.cladding else "#c9cdd0"
    return (
        f'<path d="{screens}" fill="#1a2025"/>'
        f'<clipPath id="{name}d"><path id="{name}o" d="{opening}"/></clipPath>'
        f'<g clip-path="url(#{name}d)"><use href="#{name}o" fill="url(#{name}w)"/>'
        + _reflections(s, g)
        + f'<g stroke="#0b0d0f">{posts}</g>'
        f'<use href="#{name}o" fill="none" stroke="#0b0d0f" stroke-width="36"/></g>'
        f'<use href="#{name}o" fill="none" stroke="#0b0d0f" stroke-width="9"/>'
        f'<path d="{path(g.waist)}" fill="none" stroke="{trim}" stroke-width="9"/>'
    )


def _reflections(s: Stance, g: Glass) -> str:
    """Two slanted sheets of sky, and heads of the seats behind the glass."""
    span = g.rear_x - g.front_x
    high, low = s.height, s.waist_front - 40
    text = ""
    for at, wide in ((0.30, 0.10), (0.66, 0.16)):
        x = g.front_x + span * at
        w = span * wide
        text += f"M{x + 260:.0f} {-high:.0f}h{w:.0f}L{x + w - 60:.0f} {-low:.0f}h{-w:.0f}Z"
    rests = ""
    # Seats stand just ahead of the posts; the post of a front quarter window has none.
    for (post, _), _, _ in g.pillars:
        if post - g.front_x < 0.25 * span:
            continue
        x, y = post - 0.15 * s.height, s.waist_front + 0.125 * s.height
        rests += (
            f'<rect x="{x:.0f}" y="{-y:.0f}" width="125" height="{0.2 * s.height:.0f}" rx="46"/>'
        )
    return (
        f'<g fill="#0a0c0e" fill-opacity=".55">{rests}</g>'
        f'<path d="{text}" fill="#fff" fill-opacity=".09"/>'
    )


def _details(shape: Shape, s: Stance, g: Glass, o: Outline, tones: Ramp, name: str) -> str:
    housing, foot = panels.mirror(shape, s, g)
    gaps = panels.shut_lines(shape, s, g, o)
    rim = tones.edge if lightness(tones.base) < 0.3 else tones.seam
    rail = panels.bed_rail(s, o) if shape.body == "pickup" else ""
    if shape.roof_rails and shape.body in ("estate", "suv", "mpv", "van", "hatchback"):
        rail = (
            f'<path d="{panels.rails(s, o)}" fill="none" stroke="#2a2e31" stroke-width="22"'
            ' stroke-linecap="round" stroke-linejoin="round"/>'
        )
    return (
        f'<use href="#{name}l" x="7" y="5" fill="none" stroke="#fff" stroke-opacity=".16"'
        f' stroke-width="6"/>'
        f'<g fill="none" stroke="{tones.seam}" stroke-opacity=".75" stroke-width="7"'
        f' stroke-linejoin="round">'
        f'<path id="{name}l" d="{gaps}"/>{panels.flap(shape, s)}</g>'
        f'<path d="{panels.handles(shape, s)}" fill="{tones.base}" stroke="{tones.seam}"'
        f' stroke-width="5"/>'
        f'<path d="{foot}" fill="#0f1214"/>'
        f'<path d="{housing}" fill="url(#{name}p)" stroke="{rim}" stroke-width="6"/>' + rail
    )


def _wheels(s: Stance, name: str) -> str:
    return "".join(
        f'<use href="#{name}r" x="{number(x)}" y="{number(-s.tyre)}"/>'
        for x in (s.front_x, s.rear_x)
    )
