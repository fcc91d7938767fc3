"""Where alerts and boards point people: the operations console, which is there in every deployment.

Boards and rules are built apart and must agree on addresses, so the addresses are catalogued too.
"""

from telemetry.catalogue.spec import SLO

CONSOLE_URL = "http://127.0.0.1:8000/console"


def runbook_url(alert: str, console_url: str = CONSOLE_URL) -> str:
    """The page that says what to do when `alert` fires.

    >>> runbook_url("NoOrders")
    'http://127.0.0.1:8000/console/runbooks/NoOrders'
    """
    return f"{console_url}/runbooks/{alert}"


def board_url(board: str, console_url: str = CONSOLE_URL) -> str:
    """The board with this uid."""
    return f"{console_url}/boards/{board}"


def burn_alert(slo: SLO) -> str:
    """The name that all burn-rate alerts of an SLO, and their runbook, share."""
    return "".join(part.capitalize() for part in slo.name.split("_")) + "BudgetBurn"
