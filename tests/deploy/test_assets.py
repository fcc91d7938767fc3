"""The front-end build: every source has its hashed output; nothing comes from elsewhere."""

import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build" / "static"


@pytest.fixture(scope="module")
def manifest() -> dict[str, str]:
    content: dict[str, str] = json.loads((BUILT / "manifest.json").read_text())
    return content


def test_every_entry_point_is_in_the_manifest(manifest: dict[str, str]) -> None:
    sources = [path for path in (ROOT / "assets" / "src").iterdir() if path.is_file()]
    names = {re.sub(r"\.ts$", ".js", path.name) for path in sources}

    assert names <= set(manifest)


def test_every_output_exists_under_a_name_with_its_hash(manifest: dict[str, str]) -> None:
    for name, output in manifest.items():
        stem, suffix = name.rsplit(".", 1)
        assert re.fullmatch(rf"{re.escape(stem)}-[A-Z0-9]{{8}}\.{suffix}", output)
        assert (BUILT / output).stat().st_size > 0


def test_style_sheets_load_only_files_of_this_build(manifest: dict[str, str]) -> None:
    outputs = set(manifest.values())
    for output in sorted(outputs):
        if output.endswith(".css"):
            text = (BUILT / output).read_text()
            loaded = set(re.findall(r"url\(\"?\./([^\")]+)", text))
            assert loaded <= outputs
            assert re.findall(r"url\(\"?https?:", text) == []


def test_the_fonts_hold_the_letters_of_the_four_languages() -> None:
    text = (ROOT / "assets" / "src" / "fonts.css").read_text()
    ranges = re.findall(r"U\+([0-9A-F]{4})-([0-9A-F]{4})", text)

    for letter in "åäöøæÅÄÖØÆéü–’":
        assert any(int(low, 16) <= ord(letter) <= int(high, 16) for low, high in ranges), letter
