"""`python -m app.storefront`: the storefront alone."""

from app.frame.start.alone import run
from app.storefront.main import build

if __name__ == "__main__":
    run("storefront", build)
