"""The built assets."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from app.storefront.errors import AssetsMissing
from app.storefront.static import Asset, read_assets


def test_a_missing_build_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(AssetsMissing) as caught:
        read_assets(tmp_path)

    assert caught.value.detail == (
        f"{tmp_path / 'manifest.json'} is missing: run `make setup` to build the assets."
    )


def test_a_build_without_our_style_sheet_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(orjson.dumps({"storefront.js": "storefront-A.js"}))

    with pytest.raises(AssetsMissing, match=r"does not list storefront\.css"):
        read_assets(tmp_path)


def test_files_are_served_by_their_hashed_names(tmp_path: Path) -> None:
    names = {"storefront.css": "storefront-A.css", "storefront.js": "storefront-B.js"}
    (tmp_path / "manifest.json").write_bytes(orjson.dumps(names))
    (tmp_path / "storefront-A.css").write_bytes(b"a{}")
    (tmp_path / "storefront-B.js").write_bytes(b"b()")
    (tmp_path / "storefront-B.js.map").write_bytes(b"{}")

    assets = read_assets(tmp_path)

    assert assets.url("storefront.css") == "/static/storefront-A.css"
    assert assets.files == {
        "storefront-A.css": Asset(b"a{}", "text/css"),
        "storefront-B.js": Asset(b"b()", "text/javascript"),
    }
