"""Limits of moments: alerts compare with them, boards and the console show them."""

PAYMENT_CALL_SLOW_SECONDS = 2.5
FEED_AGE_SECONDS = 1800
LEDGER_LAG_SECONDS = 60
OUTBOX_LAG_SECONDS = 120
SHED_RATIO = 0.01
STOCK_HELD_RATIO = 0.15
WORK_DUE_SECONDS = 3600
