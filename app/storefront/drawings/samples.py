"""Nine shapes, one per body style, and eight paints: what the contact sheet shows when it is given no list."""

from __future__ import annotations

from app.storefront.drawings.shape import Shape

PAINTS = {
    "white": "#f2f2ef",
    "silver": "#b9bec3",
    "graphite": "#4a4f55",
    "black": "#101214",
    "deep green": "#1f3d2f",
    "red": "#9e1b22",
    "yellow": "#e3b11f",
    "fjord blue": "#2c4a6e",
}

SAMPLES = {
    "hatchback": Shape(
        "hatchback", 4080, 1455, 2600, 145, 17, 5, "hybrid",
        roofline_drop=0.5, nose_length=0.5, beltline=0.5, rear_rake=0.5, light_signature="dots",
        two_tone=True,
    ),
    "sedan": Shape(
        "sedan", 4880, 1435, 2960, 140, 19, 4, "electric",
        roofline_drop=0.6, nose_length=0.6, beltline=0.5, rear_rake=0.6, light_signature="blade",
    ),
    "estate": Shape(
        "estate", 4890, 1465, 2940, 145, 19, 5, "plugin_hybrid",
        roofline_drop=0.4, nose_length=0.6, beltline=0.5, rear_rake=0.5, light_signature="wing",
        roof_rails=True,
    ),
    "suv": Shape(
        "suv", 4780, 1670, 2880, 205, 20, 5, "electric",
        roofline_drop=0.4, nose_length=0.5, beltline=0.5, rear_rake=0.4, light_signature="frame",
        cladding=True, roof_rails=True,
    ),
    "coupe": Shape(
        "coupe", 4620, 1345, 2760, 125, 20, 2, "petrol",
        roofline_drop=0.6, nose_length=0.8, beltline=0.6, rear_rake=0.6, light_signature="arc",
    ),
    "convertible": Shape(
        "convertible", 4420, 1340, 2640, 130, 19, 2, "petrol",
        roofline_drop=0.5, nose_length=0.7, beltline=0.5, rear_rake=0.5, light_signature="thread",
    ),
    "mpv": Shape(
        "mpv", 4720, 1720, 2900, 160, 18, 5, "hybrid",
        roofline_drop=0.35, nose_length=0.4, beltline=0.4, rear_rake=0.35, light_signature="arc",
    ),
    "van": Shape(
        "van", 5080, 1980, 3220, 165, 18, 5, "electric",
        roofline_drop=0.2, nose_length=0.4, beltline=0.4, rear_rake=0.2, light_signature="thread",
        two_tone=True,
    ),
    "pickup": Shape(
        "pickup", 5340, 1820, 3260, 235, 19, 4, "diesel",
        roofline_drop=0.4, nose_length=0.5, beltline=0.5, rear_rake=0.4, light_signature="blade",
        cladding=True,
    ),
}
