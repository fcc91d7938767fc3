"""Storefront & business: what shoppers do, buy and feel. For marketing first, SRE second."""

from dashboards.board import Board
from dashboards.boards.business import FUNNEL, GLANCE, ORDERS
from dashboards.boards.experience import ADVICE, FEELING, WAITING

STOREFRONT_BOARD = Board(
    uid="storefront",
    title="Storefront & business",
    description=(
        "Business numbers come from the ledger, so they are the orders in checkout's database and"
        " not a count of requests. Traffic chooses between people and our own rehearsals."
    ),
    tags=("business",),
    rows=(GLANCE, FUNNEL, ORDERS, WAITING, ADVICE, FEELING),
)
