"""What every service's HTTP edge measures (semantic conventions: http.server.request.duration)."""

from telemetry.catalogue.labels import CALLED, OUTCOME, SERVICE
from telemetry.catalogue.spec import Label, Metric

# The convention's advised edges; 0.5 and 1 are SLO thresholds.
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "_OTHER")
UNMATCHED_ROUTE = "unmatched"

METHOD = Label(
    "http_request_method", METHODS, "The method; _OTHER for one that HTTP does not name."
)
ROUTE = Label(
    "http_route",
    None,
    "The full route template with its prefix; `unmatched` where no route answered.",
    bounded_by="the OpenAPI documents and the page table",
)

HTTP_SERVER_REQUEST_DURATION = Metric(
    name="http_server_request_duration_seconds",
    kind="histogram",
    description="From the first byte of a request to the last byte of its response.",
    labels=(SERVICE, METHOD, ROUTE, OUTCOME),
    unit="seconds",
    owner="http",
    buckets=REQUEST_BUCKETS,
    shown_on="services",
)
HTTP_SERVER_ACTIVE_REQUESTS = Metric(
    name="http_server_active_requests",
    kind="gauge",
    description="Requests that are being answered at this moment.",
    labels=(SERVICE,),
    unit="requests",
    owner="http",
    shown_on="services",
)
HTTP_CLIENT_REQUEST_DURATION = Metric(
    name="http_client_request_duration_seconds",
    kind="histogram",
    description="Calls to other services and providers, from the caller's side.",
    labels=(SERVICE, CALLED, OUTCOME),
    unit="seconds",
    owner="http",
    buckets=REQUEST_BUCKETS,
    shown_on="services",
)

METRICS = (HTTP_SERVER_REQUEST_DURATION, HTTP_SERVER_ACTIVE_REQUESTS, HTTP_CLIENT_REQUEST_DURATION)
