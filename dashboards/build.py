"""Write the boards that Grafana is provisioned with and the console draws.

python -m dashboards.build            write dashboards/rendered/*.json
python -m dashboards.build --check    exit 1 when the committed files differ
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dashboards.board import Board, rendered
from dashboards.boards.services import SERVICES_BOARD
from dashboards.boards.storefront import STOREFRONT_BOARD

RENDERED = Path(__file__).resolve().parent / "rendered"
BOARDS: tuple[Board, ...] = (STOREFRONT_BOARD, SERVICES_BOARD)


def committed() -> dict[str, str]:
    """The text of every rendered file, by name."""
    return {f"{board.uid}.json": rendered(board) for board in BOARDS}


def differences(files: Mapping[str, str], folder: Path) -> list[str]:
    """One line per file that is missing, changed, or no longer rendered."""
    found = [
        f"{name}: {'changed' if (folder / name).exists() else 'missing'}"
        for name, text in files.items()
        if not (folder / name).exists() or (folder / name).read_text() != text
    ]
    stray = sorted(path.name for path in folder.glob("*.json") if path.name not in files)
    return found + [f"{name}: no longer rendered" for name in stray]


def write(files: Mapping[str, str], folder: Path) -> None:
    """Write all boards and remove files that are no longer rendered."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.json"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m dashboards.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed files")
    files = committed()
    if parser.parse_args(arguments).check:
        found = differences(files, RENDERED)
        sys.stdout.write("".join(f"dashboards/rendered/{line}\n" for line in found))
        return 1 if found else 0
    write(files, RENDERED)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
