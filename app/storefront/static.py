"""The built assets: content-hashed files, read once at start and served for ever."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from app.storefront.errors import AssetsMissing

FOR_EVER: Final = "public, max-age=31536000, immutable"
NEEDED: Final = ("storefront.css", "storefront.js")
_KNOWN: Final = {".woff2": "font/woff2", ".js": "text/javascript", ".css": "text/css"}


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Assets:
    """Files by their hashed name, and the hashed name of each source's name."""

    files: Mapping[str, Asset]
    names: Mapping[str, str]

    def url(self, source: str) -> str:
        """The address of `storefront.css` and the like; KeyError for what was not built."""
        return f"/static/{self.names[source]}"

    def has(self, source: str) -> bool:
        return source in self.names


def read_assets(folder: Path) -> Assets:
    """Read the build; raises `AssetsMissing` with what to do when there is none."""
    manifest = folder / "manifest.json"
    if not manifest.exists():
        raise AssetsMissing(f"{manifest} is missing: run `make setup` to build the assets.")
    names: dict[str, str] = orjson.loads(manifest.read_bytes())
    absent = [name for name in NEEDED if name not in names]
    if absent:
        raise AssetsMissing(
            f"{manifest} does not list {', '.join(absent)}: run `make setup` to build the assets."
        )
    files = {
        path.name: Asset(path.read_bytes(), _media_type(path))
        for path in sorted(folder.iterdir())
        if path.is_file() and path.suffix != ".map" and path != manifest
    }
    return Assets(files, names)


def _media_type(path: Path) -> str:
    known = _KNOWN.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return known or "application/octet-stream"
