"""`python -m app.advisor`: the advisor in a process of its own."""

from app.advisor.main import build
from app.frame.start.alone import run

if __name__ == "__main__":
    run("advisor", build)
