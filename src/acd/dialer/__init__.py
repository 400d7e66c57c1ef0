"""Pacing of outbound calls: how many lines to place now, from what a campaign has learned and what its ledger leaves.

Pure: no clock, no chance, no IO; times are UTC seconds, given as arguments. Agents belong to routing: this room sees a
`Supply` and answers with a count.
"""

from acd.dialer.ledger import Ledger
from acd.dialer.pacing import Decision, Pacer, Power, Preview, Progressive, Why
from acd.dialer.predictive import Predictive
from acd.dialer.rules import PROFILES, Profile
from acd.dialer.statistics import Statistics
from acd.dialer.supply import Busy, Line, Supply
from acd.domain.dialrules import Rule

__all__ = [
    "PROFILES",
    "Busy",
    "Decision",
    "Ledger",
    "Line",
    "Pacer",
    "Power",
    "Predictive",
    "Preview",
    "Profile",
    "Progressive",
    "Rule",
    "Statistics",
    "Supply",
    "Why",
]
