"""How long the proofs run: short in `make test`, long in `make prove-checkout`."""

from __future__ import annotations

import os

LONG = os.environ.get("VITRINE_PROOFS") == "long"
KILLS = 24 if LONG else 3
"""Per database."""
OUTAGES = 3 if LONG else 1
"""Rounds of every kind of outage."""
EXAMPLES = 75 if LONG else 5
STEPS = 60 if LONG else 30
"""Of the stateful model, per database."""
STRIDE = 1 if LONG else 7
"""From one statement that is broken off to the next."""
