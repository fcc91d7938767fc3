"""What the frame around every service measures: outbox, overload, flags, and telemetry itself."""

from typing import Literal, get_args

from telemetry.catalogue.labels import SERVICE, SERVICES, TRAFFIC_LABEL
from telemetry.catalogue.spec import Label, Metric

# The order in which work is given up under overload, first to last; `critical` never is.
PRIORITIES = ("bot", "background", "browse", "advice", "critical")

PRIORITY = Label("priority", PRIORITIES, "How late this work is given up under overload.")
FLAG = Label("flag", None, "Name of the flag.", bounded_by="the keys of the flag file")
VERSION = Label("version", None, "Version of the code.", bounded_by="one per running process")
REVISION = Label("revision", None, "Commit of the code.", bounded_by="one per running process")
DROP_REASON = Label(
    "reason",
    ("buffer_full", "queue_full", "export_failed", "store_failed"),
    "Why spans were thrown away although nobody decided that they are boring.",
)

OUTBOX_LAG = Metric(
    name="outbox_lag_seconds",
    kind="gauge",
    description="Age of the oldest fact that a registered consumer has not read yet.",
    labels=(SERVICE,),
    unit="seconds",
    owner="frame",
    shown_on="services",
)
OUTBOX_ROWS = Metric(
    name="outbox_rows",
    kind="gauge",
    description="Facts in the outbox, read or not, that have not been pruned.",
    labels=(SERVICE,),
    unit="rows",
    owner="frame",
    shown_on="services",
)
CONSUMED_SOURCE = Label("source", SERVICES, "The service whose events are read.")
CONSUMER_EVENTS_UNDIGESTED = Metric(
    name="consumer_events_undigested",
    kind="gauge",
    description="Events of a source that a consumer could not digest and has set aside.",
    labels=(SERVICE, CONSUMED_SOURCE),
    unit="events",
    owner="frame",
    shown_on="services",
)
CONSUMER_EVENTS_SET_ASIDE = Metric(
    name="consumer_events_set_aside_total",
    kind="counter",
    description="Events that a consumer set aside because it could not digest them.",
    labels=(SERVICE, CONSUMED_SOURCE),
    unit="events",
    owner="frame",
    shown_on="services",
)
CONSUMER_PARTED = Metric(
    name="consumer_parted",
    kind="gauge",
    description="1 while a consumer stands still: its source has another history than it has read.",
    labels=(SERVICE, CONSUMED_SOURCE),
    unit="bool",
    owner="frame",
    shown_on="services",
)
CONSUMER_EVENTS_MISSED = Metric(
    name="consumer_events_missed_total",
    kind="counter",
    description="Events that a source had pruned before a restored consumer could read them.",
    labels=(SERVICE, CONSUMED_SOURCE),
    unit="events",
    owner="frame",
    shown_on="services",
)
RefusedFor = Literal["host", "origin", "key"]
INTERNAL_REFUSED = Metric(
    name="internal_refused_total",
    kind="counter",
    description="Requests to the internal port that were refused, by what did not fit.",
    labels=(SERVICE, Label("reason", get_args(RefusedFor), "What was foreign or missing.")),
    unit="requests",
    owner="frame",
    shown_on="services",
)
OVERLOAD_SHED = Metric(
    name="overload_shed_total",
    kind="counter",
    description="Requests turned away because the service was full.",
    labels=(SERVICE, PRIORITY),
    unit="requests",
    owner="frame",
    shown_on="services",
)
LimitedKind = Literal["changes", "sessions", "beacons"]
"""What is counted: requests that change something, visits that begin, a browser's beacons."""
LimitedBy = Literal["session", "address"]
LIMITED_KIND = Label("kind", get_args(LimitedKind), "What one caller had too many of.")
LIMITED_BY = Label("limited_by", get_args(LimitedBy), "Which count of the caller's was full.")

REQUESTS_LIMITED = Metric(
    name="requests_limited_total",
    kind="counter",
    description="Requests refused, or not counted, because one caller had too many in a minute.",
    labels=(SERVICE, LIMITED_KIND, LIMITED_BY, TRAFFIC_LABEL),
    unit="requests",
    owner="frame",
    shown_on="services",
)
AgentProof = Literal[
    "verified",
    "malformed",
    "incomplete",
    "unknown_agent",
    "out_of_time",
    "unknown_key",
    "forged",
    "replayed",
]
AGENT_PROOF = Label(
    "result", get_args(AgentProof), "Whether a buying agent's signature held, or why it did not."
)
AGENT_SIGNATURES = Metric(
    name="agent_signatures_total",
    kind="counter",
    description="Signatures by which callers wanted to prove that they are buying agents.",
    labels=(SERVICE, AGENT_PROOF),
    unit="signatures",
    owner="frame",
    shown_on="services",
)
APP_INFO = Metric(
    name="app_info",
    kind="info",
    description="Always 1; the labels say which code runs.",
    labels=(SERVICE, VERSION, REVISION),
    unit="info",
    owner="frame",
    shown_on="services",
)
FLAG_ENABLED = Metric(
    name="flag_enabled",
    kind="gauge",
    description="1 while a feature or fault flag's default variant is not its off variant.",
    labels=(SERVICE, FLAG),
    unit="flags",
    owner="frame",
    shown_on="services",
)
TELEMETRY_SPANS_DROPPED = Metric(
    name="telemetry_spans_dropped_total",
    kind="counter",
    description="Spans lost because telemetry could not keep up.",
    labels=(SERVICE, DROP_REASON),
    unit="spans",
    owner="frame",
    shown_on="services",
)
TELEMETRY_LABELS_OVERFLOWED = Metric(
    name="telemetry_labels_overflowed_total",
    kind="counter",
    description="Observations written as `other` because an open label had too many values.",
    labels=(SERVICE,),
    unit="observations",
    owner="frame",
    shown_on="services",
)

CLOCK_SKEW = Metric(
    name="clock_skew_seconds",
    kind="gauge",
    description="How far the machine's clock is ahead of its database's, which counts.",
    labels=(SERVICE,),
    unit="seconds",
    owner="frame",
    shown_on="services",
)
DATABASE_SIZE = Metric(
    name="database_size_bytes",
    kind="gauge",
    description="What the service's database takes on its disk.",
    labels=(SERVICE,),
    unit="bytes",
    owner="frame",
    shown_on="services",
)
DATABASE_ROOM = Metric(
    name="database_room_bytes",
    kind="gauge",
    description="By how much the service's database may still grow.",
    labels=(SERVICE,),
    unit="bytes",
    owner="frame",
    shown_on="services",
)
KEPT_TABLE = Label(
    "table",
    None,
    "The table whose rows leave after some time.",
    bounded_by="the rules of docs/retention.md",
)
RETENTION_ROWS_REMOVED = Metric(
    name="retention_rows_removed_total",
    kind="counter",
    description="Rows removed because they had stayed as long as their table's rule says.",
    labels=(SERVICE, KEPT_TABLE),
    unit="rows",
    owner="frame",
    shown_on="services",
)
RETENTION_OVERDUE = Metric(
    name="retention_overdue_seconds",
    kind="gauge",
    description="Since when the oldest row should be gone that the last turn did not get to.",
    labels=(SERVICE, KEPT_TABLE),
    unit="seconds",
    owner="frame",
    shown_on="services",
)

METRICS = (
    CLOCK_SKEW,
    DATABASE_SIZE,
    DATABASE_ROOM,
    OUTBOX_LAG,
    OUTBOX_ROWS,
    RETENTION_ROWS_REMOVED,
    RETENTION_OVERDUE,
    CONSUMER_EVENTS_UNDIGESTED,
    CONSUMER_EVENTS_SET_ASIDE,
    CONSUMER_PARTED,
    CONSUMER_EVENTS_MISSED,
    INTERNAL_REFUSED,
    OVERLOAD_SHED,
    REQUESTS_LIMITED,
    AGENT_SIGNATURES,
    APP_INFO,
    FLAG_ENABLED,
    TELEMETRY_SPANS_DROPPED,
    TELEMETRY_LABELS_OVERFLOWED,
)
