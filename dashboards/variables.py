"""What a reader of a board can choose, and how a choice gets into an expression.

The builders of expressions know only catalogued label values, so an expression is built with a
pattern that stands for "all of them" and the pattern is then replaced by the variable.
"""

from dataclasses import dataclass

from telemetry.catalogue.labels import MARKETS, TRAFFIC
from telemetry.catalogue.spec import Matcher

ANY = ".*"
TRAFFIC_CHOSEN = Matcher("traffic", "=~", ANY)
MARKET_CHOSEN = Matcher("market", "=~", ANY)
CHOSEN = (MARKET_CHOSEN, TRAFFIC_CHOSEN)


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice of one value of a label, or (with `everything`) of all of them."""

    name: str
    label: str
    description: str
    values: tuple[str, ...]
    default: str
    everything: bool


VARIABLES = (
    Variable(
        "traffic",
        "Traffic",
        "People, our own rehearsals, or robots.",
        TRAFFIC,
        default="human",
        everything=True,
    ),
    Variable("market", "Market", "Country of the offer.", MARKETS, default="All", everything=True),
)


def with_variables(expr: str) -> str:
    """Replace the patterns that stand for a choice by Grafana's variables.

    >>> with_variables('x{market=~".*"}')
    'x{market=~"$market"}'
    """
    for variable in VARIABLES:
        expr = expr.replace(f'{variable.name}=~"{ANY}"', f'{variable.name}=~"${variable.name}"')
    return expr
