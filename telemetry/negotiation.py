"""What a scraper wants of the page of metrics: its format and its encoding (RFC 9110, 12.5)."""

from collections.abc import Iterator

OPENMETRICS = "application/openmetrics-text"
_VERSIONS = ("", "1.0.0", "0.0.1")
"""Of OpenMetrics; all of them read what we write, which is 1.0.0."""


def wants_openmetrics(accept: str) -> bool:
    """Whether OpenMetrics, in a version that we write, is wanted at least as much as plain text."""
    openmetrics = text = 0.0
    for kind, parameters, quality in _wishes(accept):
        if kind == OPENMETRICS and parameters.get("version", "") in _VERSIONS:
            openmetrics = max(openmetrics, quality)
        elif kind in ("text/plain", "text/*"):
            text = max(text, quality)
    return openmetrics > 0 and openmetrics >= text


def wants_gzip(accept_encoding: str) -> bool:
    """Whether gzip is among the accepted encodings; `*` alone is not a wish for it."""
    return any(kind == "gzip" and quality > 0 for kind, _, quality in _wishes(accept_encoding))


def _wishes(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Each entry's name, parameters and quality; an unreadable quality is none."""
    for part in header.split(","):
        name, *rest = (piece.strip().lower() for piece in part.split(";"))
        parameters = {}
        for piece in rest:
            key, _, value = piece.partition("=")
            parameters[key.strip()] = value.strip().strip('"')
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        yield name, parameters, quality if 0 <= quality <= 1 else 0.0
