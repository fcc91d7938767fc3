"""Services: is the machine well, and if not, which part. For SRE and developers."""

from dashboards.board import Board
from dashboards.boards.flows import FACTS, PAYMENTS, STOCK
from dashboards.boards.machine import PROTECTION, REQUESTS_OF_SERVICES
from dashboards.boards.promises import PROMISES

SERVICES_BOARD = Board(
    uid="services",
    title="Services",
    description="Is the machine well, and if not, which part of it. All traffic counts here.",
    tags=("services",),
    rows=(PROMISES, REQUESTS_OF_SERVICES, PAYMENTS, FACTS, STOCK, PROTECTION),
    variables=(),
)
