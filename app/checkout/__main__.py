"""`python -m app.checkout`: checkout alone."""

from app.checkout.main import build
from app.frame.alone import run

if __name__ == "__main__":
    run("checkout", build)
