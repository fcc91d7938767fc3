"""Write Prometheus' rules, their promtool cases and Alertmanager's configuration from Python data.

    python -m alerts.build                     write the committed files
    python -m alerts.build --check             exit 1 when the committed files differ
    python -m alerts.build --scale 60 --scrape 5 --webhook URL --out DIR
                                               for a drill: the same rules, windows divided by 60

A folder written with `--out` holds `rules/*.yml` and `alertmanager.yml`; cases belong to the
committed rules only.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from alerts import book, routing
from alerts.rules import RuleFile
from alerts.timing import Timing
from telemetry.catalogue.links import CONSOLE_URL

ROOT = Path(__file__).resolve().parent
MARK = (
    "# Written by `python -m alerts.build`. Do not edit: change the Python data and render again.\n"
)


class _Dumper(yaml.SafeDumper):
    """Expressions of several lines as block text, lists indented: what a person would write."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def document(content: Mapping[str, Any]) -> str:
    """The YAML text of a rendered file."""
    return MARK + yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)


def rule_document(file: RuleFile, timing: Timing, console_url: str = CONSOLE_URL) -> str:
    return document({"groups": [group.rendered(timing, console_url) for group in file.groups]})


def rendered(timing: Timing, webhook_url: str, console_url: str) -> dict[str, str]:
    """What Prometheus and Alertmanager read: text by path below the output folder."""
    files = {
        f"rules/{file.name}.yml": rule_document(file, timing, console_url)
        for file in book.rule_files(timing)
    }
    files["alertmanager.yml"] = document(routing.configuration(timing, webhook_url))
    return files


def committed() -> dict[str, str]:
    """Every rendered file of this folder."""
    files = rendered(book.PRODUCTION, routing.WEBHOOK_URL, CONSOLE_URL)
    files |= {f"tests/{name}.yml": document(test) for name, test in book.promtool_files().items()}
    return files


def differences(files: Mapping[str, str], folder: Path) -> list[str]:
    """One line per file below `folder` that is missing, changed, or no longer rendered."""
    found = [
        f"{name}: {'changed' if (folder / name).exists() else 'missing'}"
        for name, text in files.items()
        if not (folder / name).exists() or (folder / name).read_text() != text
    ]
    kept = {folder / name for name in files}
    for part in ("rules", "tests"):
        stray = sorted(set((folder / part).glob("*.yml")) - kept)
        found += [f"{part}/{path.name}: no longer rendered" for path in stray]
    return found


def write(files: Mapping[str, str], folder: Path) -> None:
    """Write all files and remove rules and cases that are no longer rendered."""
    for part in ("rules", "tests"):
        for path in (folder / part).glob("*.yml"):
            if f"{part}/{path.name}" not in files:
                path.unlink()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m alerts.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed files")
    parser.add_argument("--out", type=Path, help="write rules and alertmanager.yml to this folder")
    parser.add_argument("--scale", type=float, default=1.0, help="divide every window by this")
    parser.add_argument("--scrape", type=int, default=5, help="scrape interval in seconds")
    parser.add_argument("--webhook", default=routing.WEBHOOK_URL, help="where notifications go")
    parser.add_argument("--console", default=CONSOLE_URL, help="address of the operations console")
    chosen = parser.parse_args(arguments)
    if chosen.out is not None:
        timing = Timing(chosen.scale, chosen.scrape)
        write(rendered(timing, chosen.webhook, chosen.console), chosen.out)
        return 0
    if chosen.scale != 1:
        parser.error("the committed rules are not scaled: name a folder with --out")
    if chosen.check:
        found = differences(committed(), ROOT)
        sys.stdout.write("".join(f"alerts/{line}\n" for line in found))
        return 1 if found else 0
    write(committed(), ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
