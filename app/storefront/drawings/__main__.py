"""Run the contact sheet: `python -m app.storefront.drawings OUT.html`."""

from app.storefront.drawings.sheet import main

if __name__ == "__main__":
    main()
