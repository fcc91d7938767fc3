"""`python -m app.checkout`: checkout alone, or one of its commands."""

from app.checkout.commands import cli

if __name__ == "__main__":
    cli()
