"""Take the README's pictures from a running shop: `make screenshots`.

Starts a demo of its own (free ports, fresh data), lets synthetic shoppers fill the boards, and
photographs a table of pages into ``docs/screenshots``.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from rigs.ports import free_ports
from rigs.processes import wait_until
from rigs.shop import without_settings

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "docs" / "screenshots"
PASSWORD = "screenshots-only"
# Long enough for rates over a few minutes to have a shape.
FILL_SECONDS = float(os.environ.get("FILL_SECONDS", "150"))

DEMO = """
import sys
from pathlib import Path
from deploy.demo import Plan, main
sys.exit(main(Plan(var=Path(sys.argv[1]))))
"""
DESKTOP = (1440, 900)
PHONE = (390, 844)


@dataclass(frozen=True)
class Shot:
    """One picture: where to go, and the link to follow from there (a CSS selector), if any."""

    name: str
    path: str
    size: tuple[int, int] = DESKTOP
    follow: str = ""
    full_page: bool = False


FAMILY = "seats=5&child_seats=2&luggage_litres=500&near=Solna&comfort=4&progressive=4"
CAR_LINK = "main a[href*='/cars/']"
SHOTS = (
    Shot("storefront-home", "/se/en"),
    Shot("storefront-home-phone", "/se/sv", PHONE),
    Shot("storefront-cars", "/se/en/cars"),
    Shot("storefront-cars-phone", "/se/sv/cars", PHONE),
    Shot("storefront-car", "/se/en/cars", follow=CAR_LINK),
    Shot("storefront-car-phone", "/se/sv/cars", PHONE, follow=CAR_LINK),
    Shot("storefront-advisor", f"/se/en/advisor/matches?{FAMILY}"),
    Shot("storefront-advisor-phone", "/se/sv/advisor/character", PHONE),
    Shot("console-overview", "/console?traffic=synthetic&window=1h", full_page=True),
    Shot("console-orders", "/console/orders"),
    Shot(
        "console-order-trace",
        "/console/orders",
        follow="main a[href*='/console/orders/']",
        full_page=True,
    ),
    Shot("console-board-storefront", "/console/boards/storefront", full_page=True),
    Shot("console-board-services", "/console/boards/services", full_page=True),
    Shot("console-alerts", "/console/alerts"),
)


@contextmanager
def demo(folder: Path) -> Iterator[str]:
    """A demo of our own; yields the shop's address."""
    ports = free_ports(4)
    names = ("PORT", "INTERNAL_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT")
    environment = {
        **without_settings(),
        **{f"VITRINE_{name}": str(port) for name, port in zip(names, ports, strict=True)},
        "VITRINE_CONSOLE_PASSWORD": PASSWORD,
    }
    output = folder / "demo.txt"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", DEMO, str(folder / "var")],
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(
            lambda: "What happens now" in output.read_text() or process.poll() is not None,
            timeout_seconds=180,
            what="the demo runs",
        )
        if process.poll() is not None:
            raise SystemExit(output.read_text())
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def log_in(page: Page, shop: str) -> None:
    page.goto(f"{shop}/console/login")
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{shop}/console*")


DRAWN = """() => [...document.querySelectorAll("figure[data-panel] .plot")].every(
    (plot) => plot.textContent.trim() || plot.childElementCount
        || plot.getBoundingClientRect().top > innerHeight)"""
"""Whether every panel that has been in view shows something."""


def scroll_through(page: Page) -> None:
    """Bring every part into view once: boards ask for a panel's numbers when it is seen."""
    height: int = page.evaluate("document.body.scrollHeight")
    for top in range(0, height, 600):
        page.evaluate(f"window.scrollTo(0, {top})")
        page.wait_for_function(DRAWN)
    page.evaluate("window.scrollTo(0, 0)")


def take(browser: Browser, shop: str, shot: Shot) -> None:
    """Photograph one page, with still pictures."""
    width, height = shot.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        # A long page is for reading, a short one for looking at: that one gets twice the pixels.
        device_scale_factor=1 if shot.full_page else 2,
        reduced_motion="reduce",
    )
    # The question about measurements is answered, so that it covers no picture.
    context.add_cookies([{"name": "vitrine_consent", "value": "refused", "url": shop}])
    page = context.new_page()
    if shot.path.startswith("/console"):
        log_in(page, shop)
    page.goto(f"{shop}{shot.path}", wait_until="networkidle")
    if shot.follow:
        page.locator(shot.follow).first.click()
        page.wait_for_load_state("networkidle")
    if shot.full_page:
        scroll_through(page)
    page.screenshot(path=OUTPUT / f"{shot.name}.png", full_page=shot.full_page)
    context.close()
    sys.stdout.write(f"  {shot.name}\n")


def main() -> int:
    """All pictures, or those named on the command line."""
    wanted = [shot for shot in SHOTS if not sys.argv[1:] or shot.name in sys.argv[1:]]
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.stderr.write("Chromium is missing: sudo apt-get install -y chromium\n")
        return 1
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, demo(Path(folder)) as shop:
        sys.stdout.write(f"  Filling the boards for {FILL_SECONDS:.0f} s ...\n")
        sys.stdout.flush()
        filled = time.monotonic() + FILL_SECONDS
        wait_until(lambda: time.monotonic() >= filled, timeout_seconds=FILL_SECONDS + 60)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium,
                args=[
                    *("--no-sandbox", "--disable-gpu", "--disable-quic"),
                    "--disable-background-networking",
                ],
            )
            for shot in wanted:
                take(browser, shop, shot)
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
