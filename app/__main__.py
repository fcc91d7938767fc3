"""`python -m app`: embedded mode."""

from app.embedded import main

if __name__ == "__main__":
    main()
