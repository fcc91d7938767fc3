"""Limits that are not SLO thresholds: alerts compare with them and boards draw them as lines."""

PAYMENT_CALL_SLOW_SECONDS = 2.5
LEDGER_LAG_SECONDS = 60
OUTBOX_LAG_SECONDS = 120
SHED_RATIO = 0.01
WORK_DUE_SECONDS = 3600
