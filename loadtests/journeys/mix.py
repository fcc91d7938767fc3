"""Which share of shoppers makes which journey.

Published behaviour (docs/load-tests.md has the sources): 49 % of mobile visits bounce, 70 % of
started checkouts are abandoned; of those who stay, 70:30 go to stock or to the advisor. Published
conversion is 1.5 to 3.5 %; a rehearsal uses 6 %, on purpose: a compressed day needs enough orders
to judge a promise of 99.9 %, and checkout is where a mistake costs most.
"""

import random

from loadtests.journeys.advised import Advice, Advised
from loadtests.journeys.browse import Bounce, Browse
from loadtests.journeys.direct import DeclineThenPay, Direct, LeaveAtHold, LeaveAtPayment
from loadtests.journeys.journey import Journey

Mix = dict[type[Journey], float]

MIX: Mix = {
    Bounce: 0.49,
    Browse: 0.235,
    Advice: 0.135,
    LeaveAtHold: 0.06,
    LeaveAtPayment: 0.02,
    Direct: 0.034,
    Advised: 0.018,
    DeclineThenPay: 0.008,
}
"""Shares of arrivals; they add up to 1."""

BUYERS: Mix = {Direct: 0.6, Advised: 0.3, DeclineThenPay: 0.1}
"""Only buyers: for the crash proof and for drills of payment, where visits tell nothing."""

DRILL_MIX: Mix = {Browse: 0.3, Direct: 0.45, Advised: 0.2, DeclineThenPay: 0.05}
"""Mostly buyers, so that an alert on payments has payments to judge within a minute."""

TRICKLE_MIX: Mix = {
    Bounce: 0.25,
    Browse: 0.25,
    Advice: 0.15,
    LeaveAtHold: 0.08,
    Direct: 0.15,
    Advised: 0.1,
    DeclineThenPay: 0.02,
}
"""A lively shop window for the demo: every board gets something to show within a minute."""

MIXES = {"holiday": MIX, "buyers": BUYERS, "drill": DRILL_MIX, "trickle": TRICKLE_MIX}


def choose(mix: Mix, dice: random.Random) -> type[Journey]:
    return dice.choices(list(mix), list(mix.values()))[0]
