"""`python -m app.insight`: insight alone, configured by environment."""

from __future__ import annotations

from app.frame.alone import run
from app.insight.main import build

run("insight", build)
