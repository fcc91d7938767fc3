"""How long the proofs of the ledger run: short in `make test`, long in `make prove-ledger`."""

from __future__ import annotations

import os

LONG = os.environ.get("VITRINE_PROOFS") == "long"
SEEDS = tuple(range(1, 13)) if LONG else (1, 2)
VISITS = 400 if LONG else 120
