"""Buying agents for tests: a key, signatures, and a directory on loopback."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, ClassVar, Self, cast

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver, algorithms

from app.frame.agents import WELL_KNOWN, AgentKey, thumbprint

_NONCES = count(1)
COVERED = ("@method", "@authority", "@path", '"signature-agent";key="buyer"')


@dataclass(slots=True)
class BuyingAgent:
    """An agent with one key, known by its directory's address."""

    directory: str = f"https://agent.example{WELL_KNOWN}"
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def key_id(self) -> str:
        return thumbprint(self.private.public_key().public_bytes_raw())

    @property
    def keys(self) -> dict[str, AgentKey]:
        return {self.key_id: AgentKey(self.private.public_key())}

    def document(self, **members: Any) -> bytes:
        """What its directory serves; `members` are further ones of its key."""
        x = base64.urlsafe_b64encode(self.private.public_key().public_bytes_raw()).rstrip(b"=")
        key = {"kty": "OKP", "crv": "Ed25519", "x": x.decode(), "use": "sig", "kid": self.key_id}
        return json.dumps({"keys": [{**key, **members}]}).encode()

    def signed(
        self,
        url: str,
        at: datetime,
        *,
        method: str = "GET",
        seconds: int = 60,
        covered: Sequence[str] = COVERED,
        agent: str | None = None,
        **changes: Any,
    ) -> dict[str, str]:
        """The headers that prove a request to `url`: created `at`, expiring `seconds` later."""
        sent = f'buyer="{self.directory}"' if agent is None else agent
        request = httpx.Request(method, url, headers={"signature-agent": sent} if sent else {})
        says = {
            "key_id": self.key_id,
            "created": at,
            "expires": at + timedelta(seconds=seconds),
            "nonce": f"nonce-{next(_NONCES)}",
            "label": "buyer",
            "tag": "web-bot-auth",
            **changes,
        }
        HTTPMessageSigner(
            signature_algorithm=algorithms.ED25519,
            key_resolver=MappingKeyResolver(
                public_keys={}, private_keys={says["key_id"]: self.private}
            ),
        ).sign(request, covered_component_ids=covered, **says)
        names = ("signature-agent", "signature-input", "signature")
        return {name: request.headers[name] for name in names if name in request.headers}


@dataclass(slots=True)
class DirectoryServer:
    """A directory whose answer a test may change; it notes what it was asked."""

    url: str
    status: int = 200
    body: bytes = b'{"keys": []}'
    headers: dict[str, str] = field(default_factory=dict)
    stalls: threading.Event | None = None
    """Answers only when this is set."""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """A directory on a free port of this machine."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        found = cls(f"http://127.0.0.1:{server.server_port}{WELL_KNOWN}")
        _Handler.of[server.server_port] = found
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            if found.stalls is not None:
                found.stalls.set()
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    of: ClassVar[dict[int, DirectoryServer]] = {}

    def do_GET(self) -> None:
        """Answer as the test says."""
        own = self.of[cast("ThreadingHTTPServer", self.server).server_port]
        own.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        if own.stalls is not None:
            own.stalls.wait(30)
        try:
            self.send_response(own.status)
            for name, value in {"content-length": str(len(own.body)), **own.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(own.body)
        except OSError:
            pass  # whoever asked has hung up

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        pass
