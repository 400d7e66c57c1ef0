"""What a trunk says of a number it cannot reach, with an announcement as early media and without: what attempts come to."""

from __future__ import annotations

from acd.domain.campaigns import AttemptOutcome as Came
from outboundkit import seen_by, station

SAID = {
    # An announcement, and then a word of it: the word counts
    "100": ("early+invalid-after:0.5", Came.INVALID, 1),
    "101": ("early+refuse:604-after:0.5", Came.INVALID, 1),
    "102": ("early+busy-after:0.5", Came.BUSY, 17),
    "103": ("early+congestion-after:0.5", Came.CONGESTION, 34),
    # An announcement and nothing else is ringing
    "104": ("early+never", Came.NO_ANSWER, 19),
    "110": ("refuse:410", Came.INVALID, 22),
    "111": ("refuse:485", Came.INVALID, 1),
    "112": ("refuse:600", Came.BUSY, 17),
    "113": ("refuse:403", Came.DECLINED, 21),
    "114": ("refuse:408", Came.NO_ANSWER, 18),
    "115": ("refuse:483", Came.NO_ANSWER, 19),
    # Of the way out rather than of the number: nothing is held against the number
    "120": ("refuse:420", Came.FAILED, 3),
    "121": ("refuse:502", Came.FAILED, 27),
    "122": ("refuse:501", Came.FAILED, 29),
    "123": ("refuse:606", Came.FAILED, 58),
    "124": ("refuse:504", Came.FAILED, 102),
    "125": ("refuse:400", Came.FAILED, 127),
    # Asterisk goes by the status, whatever cause of Q.850 a Reason header names
    "130": ("unavailable+cause:1", Came.NO_ANSWER, 19),
    "131": ("refuse:500+cause:28", Came.CONGESTION, 38),
}


async def test_what_a_trunk_says_of_a_number(tmp_path):
    async with station(tmp_path, {number: said for number, (said, *_) in SAID.items()}) as at:
        placed = {number: at.place(number, ring_s=10.0 if number != "104" else 2.0) for number in SAID}
        for number, (said, outcome, cause) in SAID.items():
            over = await at.sink.over(placed[number])
            assert (over.outcome, over.cause, over.answered) == (outcome, cause, False), said
            rang = "Rang" in at.sink.kinds(placed[number])
            assert rang is said.startswith("early"), said
        await at.customers.until(lambda: seen_by(at.customers, "104").ended == "cancelled")
