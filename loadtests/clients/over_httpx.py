"""A shopper over httpx: light, for the trickle and for small proofs without Locust."""

import ssl
import time
from collections.abc import Mapping

import httpx

from loadtests.answers import NO_ANSWER, Answer
from loadtests.evidence import Evidence

TIMEOUT = httpx.Timeout(15.0, connect=3.0)
# As over Locust: what a server may be closing just now is not used again.
LIMITS = httpx.Limits(keepalive_expiry=2.0)


class HttpxClient:
    """Cookies and a connection of its own. `tls` is shared: making one costs 20 ms of CPU."""

    def __init__(self, evidence: Evidence | None, tls: ssl.SSLContext) -> None:
        self._evidence = evidence
        self._client = httpx.Client(timeout=TIMEOUT, limits=LIMITS, verify=tls, trust_env=False)

    def send(
        self, method: str, url: str, *, name: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        at, started = time.time(), time.perf_counter()
        try:
            response = self._client.request(method, url, headers=dict(headers), content=body)
            lowered = {key.lower(): value for key, value in response.headers.items()}
            answer = Answer(response.status_code, lowered, response.content)
        except httpx.TransportError as error:
            answer = Answer(NO_ANSWER, error=type(error).__name__)
        if self._evidence is not None:
            seconds = time.perf_counter() - started
            self._evidence.request(
                name=f"{method} {name}", started_at=at, seconds=seconds, answer=answer
            )
        return answer

    def close(self) -> None:
        self._client.close()
