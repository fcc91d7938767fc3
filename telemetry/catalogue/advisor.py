"""What the advisor measures: how long a match takes and whether it found anything."""

from telemetry.catalogue.labels import OUTCOME, SERVICE
from telemetry.catalogue.spec import Metric

ADVISOR_MATCH_DURATION = Metric(
    name="advisor_match_duration_seconds",
    kind="histogram",
    description="Filtering, scoring and explaining one set of needs, without the HTTP around it.",
    labels=(SERVICE,),
    unit="seconds",
    owner="advisor",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    shown_on="services",
)
ADVISOR_MATCHES = Metric(
    name="advisor_matches_total",
    kind="counter",
    description="Advice by outcome: ok with a match, refused when only relaxations were offered.",
    labels=(SERVICE, OUTCOME),
    unit="answers",
    owner="advisor",
    shown_on="shop",
)

METRICS = (ADVISOR_MATCH_DURATION, ADVISOR_MATCHES)
