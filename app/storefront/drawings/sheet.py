"""A contact sheet of drawings, for looking at many cars with one's own eyes."""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Mapping
from html import escape
from pathlib import Path

from app.storefront.drawings.drawing import draw
from app.storefront.drawings.samples import PAINTS, SAMPLES
from app.storefront.drawings.shape import Shape, shape_from

_STYLE = """
body{margin:0;padding:24px;background:#f6f4f0;color:#1d2023;font:13px/1.4 system-ui,sans-serif}
.dark{background:#12151a;color:#d7dade}
main{display:grid;gap:20px
16px;grid-template-columns:repeat(auto-fill,minmax(min(100%,SIZEpx),1fr))}
figure{margin:0} svg{display:block;width:100%;height:auto} figcaption{opacity:.65}
"""


def main(arguments: list[str] | None = None) -> None:
    """Write a contact sheet; the arguments are explained by `--help`."""
    parser = argparse.ArgumentParser(prog="python -m app.storefront.drawings", description=__doc__)
    parser.add_argument("out", type=Path, help="HTML file to write")
    parser.add_argument(
        "--shapes", type=Path, help="JSON or TOML list of shapes (TOML: [[shapes]])"
    )
    parser.add_argument("--paint", action="append", help="#rrggbb, may be given several times")
    parser.add_argument("--body", action="append", help="only these body styles")
    parser.add_argument("--size", type=int, default=420, help="least width of a picture in pixels")
    parser.add_argument("--dark", action="store_true", help="on a dark page")
    parser.add_argument("--to-scale", action="store_true", help="all cars on one scale")
    given = parser.parse_args(arguments)
    try:
        shapes = read_shapes(given.shapes) if given.shapes else dict(SAMPLES)
        paints = {paint: paint for paint in given.paint} if given.paint else PAINTS
        chosen = {n: s for n, s in shapes.items() if not given.body or s.body in given.body}
        text = sheet(chosen, paints, size=given.size, dark=given.dark, to_scale=given.to_scale)
    except (OSError, ValueError) as problem:
        parser.error(str(problem))
    given.out.write_text(text, encoding="utf-8")


def read_shapes(source: Path) -> dict[str, Shape]:
    """Shapes by name from a JSON list or a TOML file's [[shapes]]; `name` is optional in each."""
    text = source.read_text(encoding="utf-8")
    rows = tomllib.loads(text).get("shapes", []) if source.suffix == ".toml" else json.loads(text)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{source.name}: not a list of shapes")
    shapes = {}
    for index, row in enumerate(rows, start=1):
        values = {str(name): value for name, value in row.items()}
        name = str(values.pop("name", f"{index}"))
        try:
            shapes[name] = shape_from(values)
        except ValueError as problem:
            raise ValueError(f"{source.name}, shape {name}: {problem}") from problem
    return shapes


def sheet(
    shapes: Mapping[str, Shape],
    paints: Mapping[str, str],
    *,
    size: int = 420,
    dark: bool = False,
    to_scale: bool = False,
) -> str:
    """An HTML page with every shape in every paint."""
    figures = "".join(
        f"<figure>{draw(shape, paint, title=f'{name}, {colour}', to_scale=to_scale)}"
        f"<figcaption>{escape(name)} · {escape(colour)}</figcaption></figure>"
        for name, shape in shapes.items()
        for colour, paint in paints.items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport"'
        ' content="width=device-width"><title>Contact sheet</title>'
        f"<style>{_STYLE.replace('SIZE', str(size))}</style>"
        f"<body{' class=dark' if dark else ''}><main>{figures}</main></body></html>"
    )
