"""`python -m app.sandbox`: the practice payment provider alone."""

from app.frame.start.alone import run
from app.sandbox.main import build

if __name__ == "__main__":
    run("sandbox", build)
