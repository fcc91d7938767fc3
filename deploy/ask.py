"""Ask the internal port as the operator: prints the answer; exit code 1 unless it is a success.

    python deploy/ask.py /internal/checkout/invariants
    python deploy/ask.py --lost-orders       orders that only the ledger has, or only checkout

Beside the embedded shop, or inside any container (`docker-compose exec checkout python
deploy/ask.py ...`). The key is made of the session key: VITRINE_SESSION_KEY, or the one in
keys.json in VITRINE_DATA (var/data). A service is at `<SERVICE>_INTERNAL_URL`, else all are at
VITRINE_INTERNAL_PORT (9100) of this machine. Standard library only.
"""

import hashlib
import hmac
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 30.0
PAGE = 500


def session_key() -> str:
    """The one that signs the sessions of the shop beside us."""
    given = os.environ.get("VITRINE_SESSION_KEY")
    if given:
        return given
    path = Path(os.environ.get("VITRINE_DATA", "var/data")) / "keys.json"
    try:
        return str(json.loads(path.read_text())["session_key"])
    except (OSError, ValueError, KeyError) as error:
        raise SystemExit(
            f"set VITRINE_SESSION_KEY, or VITRINE_DATA to the shop's data folder ({path}: {error})"
        ) from error


def ask(path: str) -> tuple[int, str]:
    """Status and text of the answer at `path`."""
    key = hmac.new(session_key().encode(), b"internal operator", hashlib.sha256).hexdigest()
    service = path.split("/")[2].upper() if path.startswith("/internal/") else ""
    here = f"http://127.0.0.1:{os.environ.get('VITRINE_INTERNAL_PORT', '9100')}"
    base = os.environ.get(f"{service}_INTERNAL_URL") or here
    request = urllib.request.Request(base + path, headers={"authorization": f"Bearer {key}"})  # noqa: S310 - our own port
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def confirmed(service: str) -> dict[str, dict[str, Any]]:
    """The orders that were ever confirmed, as one service has them, by id."""
    found: dict[str, dict[str, Any]] = {}
    after: str | None = ""
    while after is not None:
        status, text = ask(f"/internal/{service}/orders?after={after}&limit={PAGE}")
        if status != 200:
            raise SystemExit(text)
        page = json.loads(text)
        found |= {each["order_id"]: each for each in page["items"] if each["confirmed_at"]}
        after = page["next_after"]
    return found


def lost_orders() -> int:
    """Print what one of them lacks, a line of JSON each; returns how many those are."""
    books = {service: confirmed(service) for service in ("insight", "checkout")}
    lines = [
        {"only": service, **{name: order.get(name) for name in ("order_id", "car_id", "price")}}
        for service, other in (("insight", "checkout"), ("checkout", "insight"))
        for order_id, order in books[service].items()
        if order_id not in books[other]
    ]
    sys.stdout.write("".join(json.dumps(line) + "\n" for line in lines))
    return len(lines)


def main(what: str) -> int:
    """Print what was asked for; returns the exit code."""
    if what == "--lost-orders":
        return int(lost_orders() > 0)
    status, text = ask(what)
    sys.stdout.write(text + "\n")
    return 0 if status < 400 else 1


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].startswith(("/", "--lost-orders")):
        raise SystemExit(__doc__)
    sys.exit(main(sys.argv[1]))
