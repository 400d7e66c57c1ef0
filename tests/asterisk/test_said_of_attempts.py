"""What agents say of calls of a campaign, on real calls: machines that are put through to be looked at, and what follows."""

from __future__ import annotations

import json

from acd.outbound.aloft import _draw
from campaignkit import campaign_rig

MACHINES, PEOPLE = 8, 5
WORDS = {
    "sold": "done", "call later": {"again": "2h"}, "wrong number": "wrong_number", "never": "opt_out",
    "robot": "machine",
}  # fmt: skip
CAMPAIGN = {
    "mode": "progressive",
    "profile": "us",
    "rules": {"connect": "3s"},
    "amd": {"within": "2.5s", "audit": 0.5},
    "dispositions": WORDS,
    "retry": {"machine": {"after": "6h", "most": 3}},
}


async def test_agents_say_what_machines_were_and_what_follows_for_people(tmp_path):
    numbers = {f"4930{1_230_000 + n}": "answer+machine" for n in range(1, MACHINES + 1)}
    mix = {"answer+hello+talk:4": 1.0}
    async with campaign_rig(tmp_path, 4, {"win": CAMPAIGN}, mix, numbers=numbers, phones="answer+talk:1") as here:
        here.add_contacts(MACHINES + PEOPLE)
        await here.rig.acd("campaign", "start", "win")
        await here.until_settled(MACHINES + PEOPLE)
        rows = {row["number"]: row for row in here.attempts()}
        assert len(rows) == MACHINES + PEOPLE
        machines = [row for number, row in rows.items() if int(number[-7:]) <= 1_230_000 + MACHINES]
        people = [row for row in rows.values() if row not in machines]
        assert {row["verdict"] for row in machines} == {"machine"}
        looked_at = [row for row in machines if row["call"] is not None]
        assert {row["attempt"] for row in looked_at} <= {
            row["attempt"] for row in machines if _draw(row["attempt"]) < 0.5
        }
        assert {row["outcome"] for row in machines if row not in looked_at} == {"machine"}
        assert {row["outcome"] for row in [*looked_at, *people]} == {"answered"}
        assert looked_at, "one in two"
        counted = (await here.campaign())["ledger"]["answered"]
        share = 0.05 / 0.95
        assert abs(counted - (len(looked_at) + PEOPLE) * (1 + share)) < 0.02

        async def said(row, word):
            return json.loads(await here.rig.acd("call", "disposition", row["call"], word, "--json"))

        for row in looked_at:
            assert (await said(row, "robot"))["effect"] == "machine"
        words = ["sold", "call later", "wrong number", "never", "sold"]
        for row, word in zip(people, words, strict=True):
            await said(row, word)
        after = {row["attempt"]: row for row in here.attempts()}
        assert {after[row["attempt"]]["outcome"] for row in machines} == {"machine"}
        assert [after[row["attempt"]]["said"] for row in people] == words
        states = {row["contact"]: row for row in here.rows("SELECT * FROM contacts")}
        assert {states[row["contact"]]["state"] for row in machines} == {"due"}
        assert [states[row["contact"]]["state"] for row in people] == ["done", "due", "done", "blocked", "done"]
        # The only number of that one is not his
        assert here.rows("SELECT count(*) AS n FROM contact_numbers WHERE state = 'bad'") == [{"n": 1}]
        assert [row["number"] for row in here.rows("SELECT number FROM do_not_call")] == [people[3]["number"]]
        counted = (await here.campaign())["ledger"]["answered"]
        assert abs(counted - PEOPLE * (1 + share)) < 0.02
        told = json.loads(await here.rig.acd("campaign", "evidence", "win", "--json"))
        detection = told["detection"]
        assert (detection["audited"], detection["said"], detection["people"]) == (len(looked_at), len(looked_at), 0)
        assert (detection["hung_up"], detection["through"]) == (MACHINES - len(looked_at), PEOPLE)
        assert told["people"] == PEOPLE
