"""All rule files, in the order in which they are read."""

from alerts import burnrate, business, operations
from alerts.rules import Alert, RuleFile
from alerts.timing import Timing

PRODUCTION = Timing()


def rule_files(timing: Timing = PRODUCTION) -> tuple[RuleFile, ...]:
    return (
        *burnrate.rule_files(timing),
        *business.rule_files(timing),
        *operations.rule_files(timing),
    )


def all_alerts(timing: Timing = PRODUCTION) -> tuple[Alert, ...]:
    """Every alerting rule; several may share a name and a runbook."""
    return tuple(alert for file in rule_files(timing) for alert in file.alerts)
