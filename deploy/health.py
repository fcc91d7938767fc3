"""Ask the service in this container whether it is alive: exit code 0 when it is.

    python deploy/health.py [PORT]     default: VITRINE_HEALTH_PORT, the internal port

Standard library only: it runs every few seconds and must start fast.
"""

import http.client
import os
import sys

TIMEOUT_SECONDS = 3.0


def alive(port: int) -> bool:
    """Whether ``/health/live`` on the internal port answers with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("VITRINE_HEALTH_PORT", "9100")
    sys.exit(0 if alive(int(chosen)) else 1)
