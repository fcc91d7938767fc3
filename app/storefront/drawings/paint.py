"""Paint under studio light: one colour becomes the ramp of tones that give a body its form.

Tones are made in OKLab (Björn Ottosson, "A perceptual color space for image processing", 2020),
where equal steps of
lightness look equal; scaling sRGB would turn dark greens to mud and yellows to brown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import cbrt

_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
Lab = tuple[float, float, float]


@dataclass(frozen=True)
class Ramp:
    """Tones of one paint, as #rrggbb.

    sky: surfaces that face up; glow: the crest of a shoulder; base: the paint itself; core: the
    side turning away;
    deep: the turn under the sill; bounce: light from the ground; edge: the contour; seam: gaps
    between panels.
    """

    sky: str
    glow: str
    base: str
    core: str
    deep: str
    bounce: str
    edge: str
    seam: str


def ramp(paint: str) -> Ramp:
    """Tones for `paint` (#rgb or #rrggbb). ValueError names the field for anything else."""
    base = normal(paint)
    light, a, b = lab = _lab(base)
    # Dark paint shows its form by what it reflects, light paint by its shadows: the headroom
    # decides.
    room = 1 - light
    dark = max(0.0, 0.42 - light) / 0.42
    pale = max(0.0, light - 0.86)
    return Ramp(
        # White faces the sky in grey, or its roof would vanish on paper.
        sky=_tone(
            lab, light + 0.07 * min(1, room * 5) + 0.16 * dark - 0.6 * pale, 0.86 - 0.3 * dark
        ),
        glow=_tone(lab, min(0.99, light + room * 0.42 + 0.04 * dark), 0.62 - 0.25 * dark),
        base=base,
        core=_tone(lab, light * 0.80, 1.0),
        deep=_tone(lab, light * 0.46, 0.8),
        bounce=_tone(lab, light * 0.86 + 0.12 * dark, 0.8),
        edge=_hex((light * 0.56 if light > 0.38 else light + 0.22, a * 0.6, b * 0.6)),
        seam=_tone(lab, light * 0.34 if light > 0.3 else 0.05, 0.6),
    )


def normal(paint: object) -> str:
    """`paint` as lower-case #rrggbb. ValueError for anything that is not a hex colour."""
    if not isinstance(paint, str) or not _HEX.fullmatch(paint):
        raise ValueError(f"paint: {paint!r} is not a colour like #1f3d2b")
    digits = paint[1:].lower()
    return "#" + (digits if len(digits) == 6 else "".join(d * 2 for d in digits))


def lightness(colour: str) -> float:
    """Perceived lightness of #rrggbb in OKLab, 0 black to 1 white."""
    return _lab(colour)[0]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two #rrggbb colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _tone(lab: Lab, light: float, chroma: float) -> str:
    return _hex((max(0.0, min(1.0, light)), lab[1] * chroma, lab[2] * chroma))


def _linear(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return _decode(red), _decode(green), _decode(blue)


def _decode(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)


def _luminance(colour: str) -> float:
    red, green, blue = _linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _lab(colour: str) -> Lab:
    r, g, b = _linear(colour)
    long = cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    middle = cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def _hex(lab: Lab) -> str:
    light, a, b = lab
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    channels = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
    return "#" + "".join(f"{round(255 * _encode(c)):02x}" for c in channels)


def _encode(channel: float) -> float:
    channel = max(0.0, min(1.0, channel))
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * float(channel ** (1 / 2.4)) - 0.055
