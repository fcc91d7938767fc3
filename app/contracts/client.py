"""What the typed clients of our own services share: errors, retries, the caller passed on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson
import stamina

from app.kernel.errors import NotFound, Unavailable, VitrineError

ATTEMPTS: Final = 2
"""A read is tried once more; anything that changes something is retried by whoever has its key."""

BUDGET_SECONDS: Final = 4.0


def segment(text: str) -> str:
    """One segment of a path, quoted: no `?` in it becomes a query, no `/` another address.

    Raises `NotFound` for what no quoting makes a name (RFC 3986, 3.3: dot segments).
    """
    if text in ("", ".", ".."):
        raise NotFound("There is nothing at this address.")
    return quote(text, safe=":", errors="replace")


class UpstreamProblem(Exception):
    """The other service answered with a problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any], *, replayed: bool = False) -> None:
        super().__init__(f"{status} {problem.get('type')}")  # the detail may quote the caller
        self.status = status
        self.problem = problem
        self.replayed = replayed
        """It is the first answer to this key: what it says may have changed since."""

    @property
    def code(self) -> str:
        """The last part of the problem type, `car-not-available`."""
        return str(self.problem.get("type", "")).rsplit("/", 1)[-1]


class _Retryable(Exception):
    def __init__(self, cause: VitrineError) -> None:
        self.cause = cause


class ServiceClient:
    """A client of one service on behalf of one caller.

    `headers` carry the caller on (session cookie, synthetic proof, language); a value that no
    header can carry is left out. Raises `UpstreamProblem` for an answer of 400 and over,
    `Unavailable` when there is no answer.
    """

    def __init__(self, http: httpx.AsyncClient, headers: Mapping[str, str] | None = None) -> None:
        self._http = http
        self._headers = {
            name: value
            for name, value in (headers or {}).items()
            if value.isascii() and value.isprintable()
        }

    async def get(self, path: str, **options: Any) -> bytes:
        """The body of a 2xx answer; retried once when the service does not answer."""
        try:
            async for attempt in stamina.retry_context(
                on=_Retryable, attempts=ATTEMPTS, timeout=BUDGET_SECONDS, wait_initial=0.05
            ):
                with attempt:
                    try:
                        return await self._send("GET", path, **options)
                    except Unavailable as error:
                        raise _Retryable(error) from error
        except _Retryable as error:
            raise error.cause from error
        raise AssertionError("retry_context always returns or raises")

    async def post(self, path: str, body: Any = None, *, key: str | None = None) -> bytes:
        """The body of a 2xx answer. `key` is sent as Idempotency-Key (a structured string)."""
        return (await self._post(path, body, key=key)).content

    async def _post(self, path: str, body: Any, *, key: str | None) -> httpx.Response:
        headers = {"idempotency-key": f'"{key}"'} if key else {}
        return await self._answer("POST", path, content=orjson.dumps(body or {}), headers=headers)

    async def delete(self, path: str) -> bytes:
        return await self._send("DELETE", path)

    async def _send(self, method: str, path: str, **options: Any) -> bytes:
        return (await self._answer(method, path, **options)).content

    async def _answer(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        sent = {"content-type": "application/json", **self._headers, **(headers or {})}
        try:
            response = await self._http.request(method, path, headers=sent, **options)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"{self._http.base_url.host} did not answer in time; please try again."
            ) from error
        if response.status_code < 400:
            return response
        problem = _problem(response)
        if response.status_code == 503:
            raise Unavailable(
                str(problem.get("detail", "temporarily unavailable")),
                retry_after_seconds=int(problem.get("retry_after_seconds", 2)),
            )
        raise UpstreamProblem(response.status_code, problem, replayed=is_replayed(response))


def is_replayed(response: httpx.Response) -> bool:
    """Whether it is the first answer to an Idempotency-Key, sent again."""
    return str(response.headers.get("idempotency-replayed")) == "true"


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        found = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        found = None
    if isinstance(found, dict):
        return found
    return {"type": "/problems/unreadable", "detail": f"answered {response.status_code}"}
