"""What an open roof shows of a convertible: windscreen frame, steering wheel and seats."""

from __future__ import annotations

from app.storefront.drawings.canvas import number, path
from app.storefront.drawings.curve import Knot, straight, through
from app.storefront.drawings.stance import Stance


def cockpit(s: Stance) -> str:
    """What an open roof shows: windscreen frame, steering wheel, seats with headrests."""
    waist = s.waist_front
    front = _seat(s.length * 0.550, waist, s.height * 0.235)
    rear = _seat(s.length * 0.668, waist, s.height * 0.175)
    frame = through(
        [
            Knot(s.cowl_x - 10, s.cowl_y - 30, s.screen + 2),
            Knot(s.header_x, s.header_y, s.screen - 10),
        ]
    )
    foot = (s.cowl_x + 190, waist - 20)
    tip = frame[-1][3]
    pane = path([*frame, straight(tip, foot), straight(foot, frame[0][0])], close=True)
    wheel_x, wheel_y = s.cowl_x + 0.118 * s.length, waist + 6
    return (
        f'<path d="{pane}" fill="#8fa3af" fill-opacity=".30"/>'
        f'<ellipse cx="{number(wheel_x)}" cy="{number(-wheel_y)}" rx="30" ry="135" fill="none"'
        f' stroke="#1b1d1f" stroke-width="24" transform="rotate(-26 {number(wheel_x)}'
        f' {number(-wheel_y)})"/>'
        + "".join(
            f'<g fill="{tone}" stroke="#3d281d" stroke-width="6">'
            f'<path d="{head}"/><path d="{back}"/></g>'
            for tone, (head, back) in (("#6b4630", rear), ("#8a5c40", front))
        )
        + f'<path d="{path(frame)}" fill="none" stroke="#33393d" stroke-width="36"'
        f' stroke-linecap="round"/>'
    )


def _seat(x: float, waist: float, tall: float) -> tuple[str, str]:
    """A seat leaning rearwards, `tall` mm above the waist: headrest, and the back before it."""
    top = waist + tall

    def leaning(share: float) -> float:
        return x + share * tall * 0.30

    back = through(
        [
            Knot(leaning(-0.6) - 130, waist - 130, 76, 0.33),
            Knot(leaning(0.40) - 104, waist + 0.40 * tall, 72, 0.33),
            Knot(leaning(0.66) - 20, waist + 0.66 * tall, 12, 0.46),
            Knot(leaning(0.52) + 84, waist + 0.50 * tall, -96, 0.46),
            Knot(leaning(-0.6) + 120, waist - 130, -106, 0.33),
        ]
    )
    head = through(
        [
            Knot(leaning(0.72) - 70, waist + 0.75 * tall, 76, 0.40),
            Knot(leaning(0.95) - 22, top, 8, 0.52),
            Knot(leaning(0.95) + 52, waist + 0.90 * tall, -100, 0.52),
            Knot(leaning(0.70) + 44, waist + 0.70 * tall, -122, 0.40),
            Knot(leaning(0.70), waist + 0.66 * tall, -178, 0.40),
            Knot(leaning(0.72) - 70, waist + 0.75 * tall, 76, 0.50),
        ]
    )
    return path(head, close=True), path(back, close=True)
