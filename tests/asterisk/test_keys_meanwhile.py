"""Who was dialled and does not want to be called presses a key while he waits for an agent, or while one's phone rings.

Keys are pressed over and over: the first may come before the line has got to where it is heard.
"""

from __future__ import annotations

import json

from test_originate import PLACE, offer, on_arrival, seen_by

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import outbound as out
from acd.lab.customer_words import Chooser, parse_customer
from acd.lab.customers import Customers, carrier_conf
from acd.lab.rig import NODE
from callkit import PATIENT_S, until_agent
from campaignkit import campaign_rig
from outboundkit import EPOCH, Station, station

LONG_S = 50.0
"""How long whoever answers may wait for an agent: nothing here has to be quicker."""
WHY_CHARGED = "charged as who opts out of the message is"


def over_and_over(key: str) -> str:
    return f",,{key}" * 8


def opted_out(at: Station) -> dict[str, str]:
    return {one.attempt: one.key for one in at.sink.all(out.AttemptOptedOut)}


def ends(at: Station) -> list[str]:
    return sorted(event.channel for event in at.floor if isinstance(event, ev.CallEnded))


async def test_a_key_while_he_waits_opts_out_and_another_does_not(tmp_path):
    keys = {"1": "9", "2": "#", "3": "*", "4": "9"}
    numbers = {
        "1": f"answer+press-unheard:{over_and_over('9')}",
        "2": f"answer+press-unheard:{over_and_over('1,#')}",
        "3": "answer+press:,95#*",
        "4": "answer+tone+press:,1",
    }
    phones = await Customers.open(Chooser({parse_customer("answer+tone"): 1.0}))
    try:
        async with station(tmp_path, numbers, endpoints=carrier_conf(phones.port, name="agents")) as at:
            first, second, third, stays = (at.place(n, opt_out_key=key, connect_s=LONG_S) for n, key in keys.items())
            # Of a class that there is not Asterisk plays the default one
            holds = {first: "silence", second: None, third: "jazz", stays: "jazz"}
            on_arrival(at, lambda channel: do.HoldCall(NODE, channel, f"c{channel}", PLACE, holds[channel]))
            for attempt in (first, second, third):
                over = await at.sink.over(attempt)
                assert (over.answered, over.cause) == (True, 16)
            assert opted_out(at) == {first: "9", second: "#", third: "*"}
            assert ends(at) == [first, second, third]
            # No message comes first
            assert not at.sink.all(out.AttemptMessage)
            # Another key disturbs nothing: the music was heard, and an agent is put through
            await at.customers.until(lambda: seen_by(at.customers, "4").pressed == "1")
            at.node.executor.execute(offer(stays))
            await phones.until(lambda: phones.calls and phones.calls[0].heard_at)
            phones.hang_up_all()
            await at.sink.over(stays)
            assert stays not in opted_out(at)
    finally:
        phones.close()


async def test_a_key_while_an_agents_phone_rings_ends_its_ringing_and_another_does_not(tmp_path):
    """The line came there at once, or had waited."""
    numbers = {
        "1": f"answer+press-unheard:{over_and_over('9')}",
        "2": f"answer+press-unheard:{over_and_over('1,#')}",
        "3": "answer+tone+press-unheard:,1,,,5*#",
    }
    rings = {parse_customer("never"): 1.0}
    phones = await Customers.open(Chooser(rings, {"1003": parse_customer("answer-after:3+tone")}))
    try:
        async with station(tmp_path, numbers, endpoints=carrier_conf(phones.port, name="agents")) as at:
            keys = {"1": "9", "2": "#", "3": "9"}
            placed = {at.place(n, opt_out_key=key, connect_s=LONG_S): n for n, key in keys.items()}

            def rung(channel: str) -> do.OfferCall:
                n = placed[channel]
                return offer(channel, offer=f"{EPOCH:06d}9000000{n}", phone=f"100{n}")

            def answer(channel: str) -> do.ChannelCommand:
                return rung(channel) if placed[channel] != "2" else do.HoldCall(NODE, channel, "c", PLACE, "silence")

            on_arrival(at, answer)
            first, second, third = placed
            await at.sink.until(lambda: len(at.sink.questions) == 3)
            at.node.executor.execute(rung(second))
            for attempt in (first, second):
                over = await at.sink.over(attempt)
                assert (over.answered, over.cause) == (True, 16)
            assert opted_out(at) == {first: "9", second: "#"}
            # The end of the line is the end of the offer, as when somebody hangs up: nothing says that a phone failed
            assert ends(at) == [first, second]
            assert not [event for event in at.floor if isinstance(event, ev.OfferFailed)]

            def settled() -> bool:
                rung = {call.number: call for call in phones.calls}
                third, others = rung.pop("1003", None), rung.values()
                # The second's phone may not have rung yet when he pressed
                over = "1001" in rung and all(call.ended == "cancelled" for call in others)
                return over and third is not None and third.heard_at is not None

            await phones.until(settled)
            phones.hang_up_all()
            await at.sink.over(third)
            assert third not in opted_out(at)
    finally:
        phones.close()


async def test_who_opts_out_while_a_phone_rings_is_charged_and_its_agent_is_free(tmp_path):
    campaign = {"mode": "progressive", "ring": "15s", "connect": "30s", "rules": {"connect": "30s"}}
    mix = {f"answer+press-unheard:{over_and_over('9')}": 1.0}
    async with campaign_rig(tmp_path, 1, {"win": campaign}, mix, phones="never") as here:
        here.add_contacts(1)
        await here.rig.acd("campaign", "start", "win")
        told = await here.until_settled(1)
        await until_agent(here.rig, "a1", "AVAILABLE")
        (row,) = here.attempts()
        assert (row["outcome"], row["agent"], row["message"]) == ("opted_out", None, None)
        ledger = told["ledger"]
        assert (ledger["answered"], ledger["charged"], ledger["in_flight"]) == (1, 1, 0), WHY_CHARGED
        assert (await here.rig.api("agents/a1"))["rona"] == 0

        async def recorded() -> bool:
            return here.rows("SELECT outcome, ended_by FROM calls") == [{"outcome": "abandoned", "ended_by": "caller"}]

        await here.rig.until(recorded, PATIENT_S, "the call to be over in the records")
        (entry,) = here.rows("SELECT number, source FROM do_not_call")
        assert (entry["number"], entry["source"]) == (row["number"], f"attempt:{row['attempt']}")
        (contact,) = here.rows("SELECT state FROM contacts")
        assert contact["state"] == "blocked"
        assert json.loads(await here.rig.acd("campaign", "evidence", "win", "--json"))["opted_out"] == 1
