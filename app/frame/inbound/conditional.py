"""Conditional requests (RFC 9110, 13.1.2): does the caller have this already?"""

from __future__ import annotations


def has_already(if_none_match: str, tag: str) -> bool:
    """Whether `If-None-Match` names the tag: one of a list, weak or strong alike, or `*`."""
    wanted = tag.removeprefix("W/")
    named = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return named == ["*"] or wanted in named
