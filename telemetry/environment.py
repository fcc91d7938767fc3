"""What OpenTelemetry's own environment variables ask for, and what of it is not spoken here.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

_OTLP = "OTEL_EXPORTER_OTLP_"
_TRACES = f"{_OTLP}TRACES_"


@dataclass(frozen=True, slots=True)
class Export:
    """Where finished spans go: the full address, headers, and seconds to wait for an answer."""

    address: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = 10.0


_OTHERWISE = (
    ("SAMPLER", "which traces are kept is decided by this shop's own rules"),
    ("PROPAGATORS", "W3C trace context is what is spoken"),
    ("METRIC", "metrics are not sent, Prometheus reads them at /metrics of the internal ports"),
    ("LOG", "logs are not sent, they are lines on standard output"),
    ("ZIPKIN", "spans are sent by OTLP alone"),
    ("JAEGER", "spans are sent by OTLP alone"),
)
"""What is done instead, by a part of the variable's name."""


def export_from(environ: Mapping[str, str]) -> tuple[Export | None, tuple[str, ...]]:
    """The export that is asked for, if any, and one sentence for whatever cannot be followed."""
    export, sentences = _export(environ)
    return export, (*sentences, *_unread(environ))


def _unread(environ: Mapping[str, str]) -> Iterator[str]:
    """One sentence for each variable that asks for what is done otherwise here."""
    for name in sorted(environ):
        why = next((why for part, why in _OTHERWISE if part in name), "")
        value = environ[name].strip().lower()
        asks = value and not (name.endswith("S_EXPORTER") and value == "none")
        if name.startswith("OTEL_") and why and asks:
            yield f"{name} is not followed: {why}."


def _export(environ: Mapping[str, str]) -> tuple[Export | None, tuple[str, ...]]:
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter == "none" or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None, ()
    if exporter not in ("", "otlp"):
        return None, (f"OTEL_TRACES_EXPORTER={exporter} is not spoken here: use otlp, or none.",)
    variable, address = _given(environ, "ENDPOINT")
    if not address:
        missing = f"OTEL_TRACES_EXPORTER=otlp exports nothing: set {_OTLP}ENDPOINT too."
        return None, (missing,) if exporter else ()
    if not address.startswith(("http://", "https://")):
        return None, (
            f"{variable}={address} is not an http:// or https:// address: nothing is exported.",
        )
    if variable == f"{_OTLP}ENDPOINT":
        address = address.rstrip("/")
        address += "" if address.endswith("/v1/traces") else "/v1/traces"
    timeout, wrong = _timeout(*_given(environ, "TIMEOUT"))
    headers, unread = _headers(*_given(environ, "HEADERS"))
    sentences = (*_not_followed(environ), *wrong, *unread)
    return Export(address, headers, timeout), sentences


def _given(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """The variable for traces, else the one for all signals: its name and value."""
    for variable in (_TRACES + name, _OTLP + name):
        if environ.get(variable, "").strip():
            return variable, environ[variable].strip()
    return _OTLP + name, ""


def _not_followed(environ: Mapping[str, str]) -> Iterator[str]:
    variable, protocol = _given(environ, "PROTOCOL")
    if protocol not in ("", "http/protobuf"):
        yield f"{variable}={protocol} is not spoken here: spans are sent as http/protobuf."
    variable, compression = _given(environ, "COMPRESSION")
    if compression not in ("", "gzip"):
        yield f"{variable}={compression} is not followed: spans are sent with gzip."
    for name in ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"):
        variable, value = _given(environ, name)
        if value:
            yield f"{variable} is not read: the system's certificates are trusted."


def _timeout(variable: str, text: str) -> tuple[float, tuple[str, ...]]:
    """Seconds; the specification has milliseconds."""
    if not text:
        return 10.0, ()
    if not text.isdecimal() or not int(text):
        return 10.0, (f"{variable}={text} is not a number of milliseconds: 10000 is taken.",)
    return int(text) / 1000, ()


def _headers(variable: str, text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """`name=value` by commas, values percent-encoded; a value is a secret and never repeated."""
    headers: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        name, value = name.strip().lower(), unquote(value.strip())
        if not equals or not name.isascii() or not name.replace("-", "").isalnum():
            return {}, (f"{variable} is not name=value by commas: no header is sent.",)
        if not value.isascii() or not value.isprintable():
            return {}, (f"{variable}: the value of {name} cannot be sent: no header is sent.",)
        headers[name] = value
    return headers, ()
