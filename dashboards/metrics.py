"""Write docs/metrics.md, what every number of the reports means, from the catalogue.

python -m dashboards.metrics            write it
python -m dashboards.metrics --check    exit 1 when the committed page differs
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from telemetry.catalogue.definitions import DEFINITIONS, Definition

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
HEAD = """# What the numbers mean

<!-- Written by `make render` from telemetry/catalogue/definitions.py. Do not edit. -->

One definition per number, the same that `GET /api/insight/v1/reports/definitions` answers. Every
number is a sum over the ledger's entries ([ledger.md](ledger.md)) of exactly [from, to), as the
ledger stood at the report's `as_of`. Ratios are 0 to 1 and empty where nothing could be divided;
money is in minor units (öre, cent) of its currency.
"""


def rendered() -> str:
    """The page's text."""
    return HEAD + "".join(map(_paragraph, DEFINITIONS))


def _paragraph(one: Definition) -> str:
    reports = ", ".join(one.reports)
    return f"\n## {one.title}\n\n`{one.member}` ({one.unit}) in: {reports}.\n\n{one.text}\n"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m dashboards.metrics", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed page")
    if parser.parse_args(arguments).check:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == rendered()
        sys.stdout.write("" if same else "docs/metrics.md: changed\n")
        return 0 if same else 1
    PAGE.write_text(rendered(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
