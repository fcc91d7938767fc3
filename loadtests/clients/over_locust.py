"""A shopper over Locust's fast client, so that every request is in Locust's own statistics."""

import time
from collections.abc import Mapping
from typing import Any

from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment
from locust.exception import CatchResponseError

from loadtests.answers import NO_ANSWER, Answer
from loadtests.evidence import Evidence

ANSWER_SECONDS = 15.0
CONNECT_SECONDS = 3.0
IDLE_SECONDS = 2.0
"""An idle connection is not used again: the server may be closing it at this very moment, and what
browsers repeat silently (RFC 9112, 9.3.1) would be counted as the shop's failure."""


class LocustClient:
    """One shopper's session: cookies and one connection; never follows redirects by itself."""

    def __init__(self, environment: Environment, host: str, evidence: Evidence) -> None:
        self._evidence = evidence
        self._session = FastHttpSession(
            base_url=host,
            request_event=environment.events.request,
            user=None,
            network_timeout=ANSWER_SECONDS,
            connection_timeout=CONNECT_SECONDS,
            concurrency=1,
            max_retries=0,
        )
        self._used_at = time.monotonic()

    def send(
        self, method: str, url: str, *, name: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self._session.client.close()
        at, started = time.time(), time.perf_counter()
        response: Any
        with self._session.request(
            method,
            url,
            name=name,
            data=body,  # type: ignore[arg-type]  # bytes are what the client sends in the end
            headers=dict(headers),
            allow_redirects=False,
            catch_response=True,
        ) as response:
            answer = _answer_of(response)
            # Locust's own judgement would call a sold-out car a failure.
            if answer.failed:
                response.failure(CatchResponseError(_complaint(answer)))
            else:
                response.success()
        seconds = time.perf_counter() - started
        self._used_at = time.monotonic()
        self._evidence.request(
            name=f"{method} {name}", started_at=at, seconds=seconds, answer=answer
        )
        return answer

    def close(self) -> None:
        self._session.client.close()


def _answer_of(response: Any) -> Answer:
    status = response.status_code or NO_ANSWER
    if status == NO_ANSWER:
        return Answer(NO_ANSWER, error=type(getattr(response, "error", None)).__name__)
    headers = {str(key).lower(): str(value) for key, value in (response.headers or {}).items()}
    return Answer(status, headers, response.content or b"")


def _complaint(answer: Answer) -> str:
    """A short text with few different values: Locust groups failures by it."""
    return f"{answer.status} {answer.problem or answer.error or answer.outcome.value}"
