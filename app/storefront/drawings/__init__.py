"""Drawn pictures of cars: `draw` turns a `Shape` and a paint into an inline SVG."""

from app.storefront.drawings.drawing import draw
from app.storefront.drawings.shape import Shape, shape_from

__all__ = ["Shape", "draw", "shape_from"]
