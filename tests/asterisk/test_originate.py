"""Dialling out of a real Asterisk: what attempts come to, who is heard, what becomes of customers when nobody decides."""

from __future__ import annotations

import asyncio
import time

import pytest

from acd.asterisk.node import Node
from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import outbound as out
from acd.domain.campaigns import AttemptOutcome
from acd.domain.definition import ToMessage
from acd.lab.asterisk_files import AsteriskOptions
from acd.lab.customer_words import Chooser, parse_customer
from acd.lab.customers import Customers, carrier_conf
from acd.lab.rig import NODE
from outboundkit import EPOCH, Station, seen_by, station

MESSAGE, LONG = "auth-thankyou", "tt-weasels"
"""Sounds of Asterisk's own; the second is some four seconds long."""
PLACE = "sales:0:1.000000:1:1.000000:1.000000"
UNREACHABLE = """[noaor]
type=endpoint
disallow=all
allow=ulaw

[noaddress]
type=endpoint
disallow=all
allow=ulaw
aors=noaddress

[noaddress]
type=aor
max_contacts=1
"""
"""Endpoints with nowhere to send a call to."""
OFFER = f"{EPOCH:06d}90000001"


def arrived(question: out.AttemptAsked) -> out.Connect:
    """The line becomes a call of the floor's."""
    return out.Connect(
        ev.CallArrived(
            question.at, question.node, question.channel, question.channel_name, question.linkedid, "sales", "4930"
        )
    )


def offer(channel: str, *, ring_s: float = 20.0, offer: str = OFFER, phone: str = "1001") -> do.OfferCall:
    phones = (f"PJSIP/{phone}@agents",)
    return do.OfferCall(NODE, channel, f"c{channel}", PLACE, offer, "anna", phones, ring_s, "default", auto_answer=True)


async def agents(behaviour: str) -> Customers:
    return await Customers.open(Chooser({parse_customer(behaviour): 1.0}))


def on_arrival(at: Station, what: object) -> None:
    """``what(channel)`` is the floor's answer to every line that becomes a call."""
    at.sink.decide = arrived

    def hook(event: ev.Event) -> None:
        if isinstance(event, ev.CallArrived):
            at.node.executor.execute(what(event.channel))  # type: ignore[operator]

    at.on_floor.append(hook)


async def test_what_attempts_come_to(tmp_path):
    outcomes = {
        "100": ("busy", AttemptOutcome.BUSY, 17),
        "101": ("busy-after:0.2", AttemptOutcome.BUSY, 17),
        "102": ("congestion", AttemptOutcome.CONGESTION, 34),
        "103": ("refuse:500", AttemptOutcome.CONGESTION, 38),
        "104": ("invalid", AttemptOutcome.INVALID, 1),
        "105": ("refuse:484", AttemptOutcome.INVALID, 28),
        "106": ("decline", AttemptOutcome.DECLINED, 21),
        "107": ("unavailable", AttemptOutcome.NO_ANSWER, 19),
        "108": ("never", AttemptOutcome.NO_ANSWER, 19),
        "109": ("silent", AttemptOutcome.FAILED, 19),
        "110": ("refuse:488", AttemptOutcome.FAILED, 58),
    }
    numbers = {number: said for number, (said, *_) in outcomes.items()}
    async with station(tmp_path, numbers, endpoints=UNREACHABLE) as at:
        placed = {number: at.place(number, ring_s=1.5) for number in outcomes}
        nowhere = [at.place("111", device=f"PJSIP/111@{name}") for name in ("nowhere", "noaor", "noaddress")]
        for number, (_, outcome, cause) in outcomes.items():
            over = await at.sink.over(placed[number])
            assert (over.outcome, over.cause, over.answered) == (outcome, cause, False), (number, over)
        for attempt in nowhere:
            over = await at.sink.over(attempt)
            assert (over.outcome, over.cause) == (AttemptOutcome.WITHDRAWN, None), over
            assert at.sink.kinds(attempt) == ["Placed", "Over"]
        assert at.sink.kinds(placed["100"]) == ["Placed", "Over"]
        assert at.sink.kinds(placed["101"]) == ["Placed", "Rang", "Over"]
        assert not at.sink.questions
        assert not at.floor_calls()
    assert seen_by(at.customers, "108").ended == "cancelled"
    assert {call.caller_id for call in at.customers.calls} == {"+4930555000"}


async def test_early_media_is_no_answer_and_who_hangs_up_at_once_is_gone(tmp_path):
    numbers = {"1": "early+answer-after:0.5", "2": "answer+talk:0"}
    async with station(tmp_path, numbers) as at:
        early, quick = at.place("1"), at.place("2")
        over = await at.sink.over(early)
        assert at.sink.kinds(early) == ["Placed", "Rang", "Answered", "Over"]
        (answered,) = [one for one in at.sink.of(early) if isinstance(one, out.AttemptAnswered)]
        assert answered.at >= seen_by(at.customers, "1").called_at + 0.5
        assert over.answered
        assert over.outcome is None
        gone = await at.sink.over(quick)
        assert (gone.answered, gone.outcome) == (True, None)
        await at.customers.until(lambda: seen_by(at.customers, "2").ended)
    assert seen_by(at.customers, "1").by == "far_end"
    assert [one.attempt for one in at.sink.questions].count(early) == 1


async def test_hostile_names_numbers_and_variables(tmp_path):
    hostile = 'Acme"\r\nAction: Command\r\n<+1900>; \\ ${SHELL(id)} \u202e Ümläut ' + "x" * 200
    async with station(tmp_path) as at:
        at.sink.decide = lambda question: out.PlayMessage(LONG)
        attempt = at.place("100", caller_name=hostile, variables={"_note": 'a,b=c"d"\\e(f)[g]', "lang": "de"})
        await at.customers.until(lambda: any(call.heard_at for call in at.customers.calls))
        shown = await asyncio.to_thread(at.asterisk.cli, f"core show channel {at.sink.questions[0].channel_name}")
        assert '\nnote=a,b=c"d"\\e(f)[g]\n' in shown, shown
        assert "lang=de" in shown
        assert seen_by(at.customers, "100").caller_id == "+4930555000"
        assert seen_by(at.customers, "100").caller_name == "Acme Action: Command +1900 {SHELL(id)} Ümläut xxxxxxxxxxxx"
        at.node.outbound.execute(out.EndAttempt(NODE, attempt))
        await at.sink.over(attempt)

        wrong = (
            at.place("1", device="PJSIP/1\r\nExten: h@carrier"),
            at.place("2", device="PJSIP/1@carrier&PJSIP/2@carrier"),
            at.place("3", device="PJSIP/1@carrier,30"),
            at.place("4", caller_id="+49<1>"),
            at.place("5", caller_id="49\r\nVariable: a=b"),
            at.place("6", message="a,b"),
            at.place("7", message="${SHELL(id)}"),
            at.place("8", opt_out_key="99"),
            at.place("9", variables={"SHELL(id)": "x"}),
            at.place("10", variables={"acd_call": "x"}),
            at.place("11", variables={"a": "x\nAction: Logoff"}),
            at.place("12", attempt="1"),
            at.place("13", ring_s=float("nan")),
            at.place("14", caller_id=""),
        )
        for one in wrong:
            assert at.sink.kinds(one) == ["Refused"], one
    assert len(at.customers.calls) == 1


async def test_a_hundred_at_once_and_none_of_them_twice(tmp_path):
    async with station(tmp_path, {"5*": "answer-after:0.3+hello"}) as at:
        at.sink.decide = lambda question: out.PlayMessage(LONG)
        commands = [at.command(f"5{index:04d}") for index in range(100)]
        for command in commands:
            at.node.outbound.execute(command)
        await at.sink.until(lambda: len(at.sink.all(out.AttemptRang)) == 100)
        for command in commands:  # again, while they ring
            at.node.outbound.execute(command)
        await at.sink.until(lambda: len(at.sink.all(out.AttemptAnswered)) == 100)
        for command in commands:
            at.node.outbound.execute(out.EndAttempt(NODE, command.attempt))
        for command in commands:
            over = await at.sink.over(command.attempt)
            assert over.answered
            kinds = at.sink.kinds(command.attempt)
            assert [kinds.count(kind) for kind in ("Placed", "Rang", "Answered", "Over", "Refused")] == [1, 1, 1, 1, 0]
        assert not at.node.outbound.lines.lines
        assert not at.node.outbound.lines.unserved
        assert max(one.took_s for one in at.sink.all(out.AttemptPlaced)) < 5
    assert at.customers.counts["called"] == 100


async def test_a_look_does_not_take_a_dialled_line_for_a_ringing_one(tmp_path):
    """Whoever says no word has not rung, and is taken back as such; early media is heard, but not seen."""
    numbers = {"1": "silent", "2": "never", "3": "never+early"}
    async with station(tmp_path, numbers) as at:
        silent, rings, early = placed = [at.place(number, ring_s=60) for number in numbers]
        await at.sink.until(lambda: len(at.sink.all(out.AttemptRang)) == 2)
        await at.customers.until(lambda: any(call.number == "1" for call in at.customers.calls))
        async with at.node._looking() as session:
            await at.node._look(session, first=False)
        (seen,) = [one for one in at.sink.all(out.OutboundSeen) if not one.first]
        assert {one.attempt: one.state for one in seen.attempts} == {
            silent: out.SeenState.DIALLING,
            rings: out.SeenState.RINGING,
            early: out.SeenState.DIALLING,
        }
        assert at.sink.kinds(silent) == ["Placed"]
        for attempt in placed:
            at.node.outbound.execute(out.EndAttempt(NODE, attempt))
        ends = [(await at.sink.over(attempt)).outcome for attempt in placed]
        assert ends == [AttemptOutcome.FAILED, AttemptOutcome.NO_ANSWER, AttemptOutcome.NO_ANSWER]


async def test_connection_lost_amid_ringing(tmp_path):
    """Asterisk goes on by itself; what happened meanwhile is found by the look, or not at all, and told once."""
    numbers = {"1": "never", "2": "busy-after:1", "3": "answer-after:1+hello"}
    async with station(tmp_path, numbers) as at:
        at.sink.decide = lambda question: out.PlayMessage(MESSAGE)
        rings, busy, answers = (at.place(number, ring_s=60) for number in "123")
        await at.sink.until(lambda: len(at.sink.all(out.AttemptRang)) == 3)
        at.node.calls.drop("test")
        assert len(at.sink.all(out.OutboundLost)) == 1
        late = at.place("4")
        assert at.sink.kinds(late) == ["Refused"]
        await at.sink.until(lambda: at.sink.all(out.OutboundBack)[1:])
        (seen,) = at.sink.all(out.OutboundSeen)[1:]
        assert seen.first
        assert {one.attempt for one in seen.attempts} >= {rings}
        over = await at.sink.over(busy)
        assert over.outcome in (AttemptOutcome.BUSY, None)
        assert (await at.sink.over(answers)).answered
        at.node.outbound.execute(out.EndAttempt(NODE, rings))
        assert (await at.sink.over(rings)).outcome is AttemptOutcome.NO_ANSWER
    assert seen_by(at.customers, "3").heard_at


async def test_controller_killed_and_started_anew(tmp_path):
    """Who answers meanwhile hears the message and is hung up; what still rings is found and followed."""
    numbers = {"1": "never", "2": "answer-after:1.5+hello", "3": "answer-after:1.5+machine"}
    async with station(tmp_path, numbers) as at:
        rings, person, machine = (
            at.place(number, ring_s=60, connect_s=1.0, message=MESSAGE, amd=number == "3", amd_s=2.5)
            for number in "123"
        )
        await at.sink.until(lambda: len(at.sink.all(out.AttemptRang)) == 3)
        await at.controller_gone()
        await at.customers.until(lambda: seen_by(at.customers, "2").ended and seen_by(at.customers, "3").ended)
        heard, recorded = seen_by(at.customers, "2"), seen_by(at.customers, "3")
        assert heard.heard_at - heard.answered_at < 1.0 + out.CONNECT_MARGIN_S
        assert heard.by == "far_end"
        assert not recorded.heard_at

        await at.new_controller()
        (seen,) = at.sink.all(out.OutboundSeen)
        assert [(one.attempt, one.state) for one in seen.attempts] == [(rings, out.SeenState.RINGING)]
        assert abs(seen.attempts[0].since - seen_by(at.customers, "1").called_at) < 3
        assert [(one.attempt, one.heard) for one in at.sink.all(out.AttemptRang)] == [(rings, False)]
        assert not at.sink.of(person)
        assert not at.sink.of(machine)
        at.node.outbound.execute(out.EndAttempt(NODE, rings))
        assert (await at.sink.over(rings)).outcome is AttemptOutcome.NO_ANSWER


async def test_a_controller_that_listens_but_never_answers(tmp_path):
    async with station(tmp_path, mix="answer+hello") as at:
        never = asyncio.Event()

        async def hangs(request):
            await never.wait()

        await at.agi.close()
        server = await asyncio.start_server(lambda reader, writer: never.wait(), "127.0.0.1", at.agi_port)
        attempt = at.place("1", connect_s=1.0, message=MESSAGE)
        over = await at.sink.over(attempt)
        server.close()
        never.set()
    call = seen_by(at.customers, "1")
    assert over.answered
    assert at.sink.kinds(attempt)[-2:] == ["Message", "Over"]
    assert call.heard_at - call.answered_at < 1.0 + out.CONNECT_MARGIN_S


async def test_a_person_a_machine_a_fax(tmp_path):
    numbers = {"1": "answer+hello", "2": "answer+machine", "3": "answer+fax", "4": "answer+hello+talk:0.3"}
    options = AsteriskOptions(verbose=3)
    async with station(tmp_path, numbers, options=options) as at:
        attempts = {number: at.place(number, amd=True, amd_s=2.5) for number in numbers}
        for number in numbers:
            assert (await at.sink.over(attempts[number])).answered
        verdicts = {one.attempt: one for one in at.sink.all(out.AttemptClassified)}
        assert verdicts[attempts["1"]].verdict is out.Verdict.PERSON
        assert verdicts[attempts["2"]].verdict is out.Verdict.MACHINE
        assert verdicts[attempts["2"]].detail.startswith(("LONGGREETING", "MAXWORDS"))
        assert verdicts[attempts["3"]].verdict is out.Verdict.FAX
        assert (await at.sink.over(attempts["3"])).outcome is AttemptOutcome.FAX
        person, machine = seen_by(at.customers, "1"), seen_by(at.customers, "2")
        asked = {one.attempt: one for one in at.sink.questions}
        assert asked[attempts["1"]].at - person.answered_at < 2.0
        assert asked[attempts["2"]].at - machine.answered_at < 2.5
        assert asked[attempts["1"]].verdict is out.Verdict.PERSON
        assert asked[attempts["2"]].verdict is out.Verdict.MACHINE


CLASSIFIERS = {
    "1": ("MACHINE", out.Verdict.MACHINE, "BEEP-2"),
    "2": ("HUMAN", out.Verdict.PERSON, "BEEP-2"),
    "3": ("FAX", out.Verdict.FAX, "BEEP-2"),
    "4": ("WHATEVER", out.Verdict.UNSURE, "BEEP-2"),
    "5": ("", out.Verdict.UNSURE, ""),
}
OWN = (
    "".join(
        f"[says-{name}]\ninclude => acd-classifier\nexten => s,1,MSet(AMDSTATUS={said},AMDCAUSE={cause})\n"
        " same => n,Return()\n"
        for name, (said, _, cause) in CLASSIFIERS.items()
    )
    + "[says-6]\ninclude => acd-classifier\nexten => s,1,Set(AMDSTATUS=MACHINE)\n same => n,Wait(60)\n same => n,Return()\n"
    "[says-7]\nexten => s,1,Set(AMDSTATUS=MACHINE)\n same => n,Return()\n"
)


async def test_a_classifier_of_the_operator_s_own_tells_who_answered(tmp_path):
    """One that takes too long, does not include what it must, or is not there at all hangs up nobody."""
    expected = {number: (verdict, cause) for number, (_, verdict, cause) in CLASSIFIERS.items()} | {
        "6": (out.Verdict.UNSURE, "TOOLONG"),
        "7": (out.Verdict.UNSURE, out.NO_CLASSIFIER),
        "8": (out.Verdict.UNSURE, out.NO_CLASSIFIER),
    }
    async with station(tmp_path, mix="answer+hello", dialplan=OWN) as at:
        placed = {
            at.place(number, amd=True, amd_s=1.0, classifier=f"says-{number}", connect_s=1.0): number
            for number in expected
        }
        for attempt in placed:
            assert (await at.sink.over(attempt)).answered
        verdicts = {placed[one.attempt]: (one.verdict, one.detail) for one in at.sink.all(out.AttemptClassified)}
        assert verdicts == expected
        assert {placed[one.attempt]: one.verdict for one in at.sink.questions} == {
            number: verdict for number, (verdict, _) in expected.items()
        }
        fax = next(attempt for attempt, number in placed.items() if number == "3")
        assert (await at.sink.over(fax)).outcome is AttemptOutcome.FAX


async def test_a_message_is_left_on_a_machine_once_its_greeting_is_over(tmp_path):
    """Also when nobody says what becomes of the line; without a message for machines it is hung up."""
    sounds = {"1": MESSAGE, "2": MESSAGE, "3": "", "4": "custom/nosuch"}
    async with station(tmp_path, mix="answer+machine") as at:
        placed = {
            at.place(number, amd=True, amd_s=2.5, machine_message=sound, message=LONG): number
            for number, sound in sounds.items()
        }
        at.sink.decide = lambda question: out.LeaveMessage() if placed[question.attempt] in "14" else None
        for attempt in placed:
            await at.sink.over(attempt)
        await at.sink.until(lambda: len(at.sink.all(out.AttemptMessage)) == 3)
        told = {placed[one.attempt]: (one.played, one.missing) for one in at.sink.all(out.AttemptMessage)}
        assert told == {"1": (True, ""), "2": (True, ""), "4": (False, "custom/nosuch")}
        await at.customers.until(lambda: all(call.ended_at for call in at.customers.calls))
    for number in "12":
        call = seen_by(at.customers, number)
        assert call.heard_at - call.answered_at > 5.5, "before the greeting and its beep were over"
    assert [seen_by(at.customers, number).heard_at for number in "34"] == [None, None]


async def test_a_message_and_a_key_to_opt_out(tmp_path):
    key = "*"
    numbers = {"1": f"answer+press:,,{key}", "2": "answer+press:5", "3": "answer+talk:0.5"}
    async with station(tmp_path, numbers) as at:
        at.sink.decide = lambda question: out.PlayMessage(LONG)
        out_of_it, wrong_key, leaves = (at.place(number, opt_out_key=key) for number in "123")
        for attempt in (out_of_it, wrong_key, leaves):
            await at.sink.over(attempt)
        (opted,) = at.sink.all(out.AttemptOptedOut)
        assert (opted.attempt, opted.key) == (out_of_it, key)
        await at.sink.until(lambda: len(at.sink.all(out.AttemptMessage)) == 3)
        assert {one.attempt: one.played for one in at.sink.all(out.AttemptMessage)} == {
            out_of_it: True,
            wrong_key: True,
            leaves: False,
        }
        # Asterisk tells of the end before the phone has heard it
        await at.customers.until(lambda: all(call.ended_at for call in at.customers.calls))
        calls = {call.number: call for call in at.customers.calls}
        # Another key begins it anew
        assert calls["2"].ended_at - calls["2"].heard_at > calls["1"].ended_at - calls["1"].heard_at
        assert all(call.heard_at for call in at.customers.calls)


async def test_a_message_that_asterisk_does_not_have_is_not_heard(tmp_path):
    """Nor one of which it has a part; whoever was called is hung up all the same."""
    sounds = {"1": "custom/nosuch", "2": f"{MESSAGE}&custom/nosuch", "3": MESSAGE}
    async with station(tmp_path, dict.fromkeys(sounds, "answer")) as at:
        placed = {number: at.place(number, message=sound) for number, sound in sounds.items()}
        at.sink.decide = lambda question: out.PlayMessage(sounds[numbers[question.attempt]])
        numbers = {attempt: number for number, attempt in placed.items()}
        for attempt in placed.values():
            await at.sink.over(attempt)
        await at.sink.until(lambda: len(at.sink.all(out.AttemptMessage)) == 3)
        told = {numbers[one.attempt]: (one.played, one.missing) for one in at.sink.all(out.AttemptMessage)}
        assert told == {"1": (False, sounds["1"]), "2": (False, sounds["2"]), "3": (True, "")}


async def test_put_through_to_an_agent_and_then_a_call_like_any_other(tmp_path):
    phones = await agents("answer+tone")
    try:
        async with station(tmp_path, mix="answer+tone", endpoints=carrier_conf(phones.port, name="agents")) as at:
            on_arrival(at, lambda channel: offer(channel))
            attempt = at.place("1", connect_s=1.0, message=MESSAGE)
            await at.customers.until(lambda: at.customers.calls and at.customers.calls[0].heard_at)
            await phones.until(lambda: phones.calls[0].heard_at)
            (talks,) = [one for one in at.floor if isinstance(one, ev.AgentAnswered)]
            assert talks.offer == OFFER
            assert not at.node.outbound.lines.unserved

            # Its agent passes it on: what it was given of time has long passed, and counts no more
            at.node.executor.execute(do.HoldCall(NODE, attempt, f"c{attempt}", PLACE, "default"))
            await phones.until(lambda: phones.calls[0].ended)
            deadline = seen_by(at.customers, "1").answered_at + 1.0 + out.CONNECT_MARGIN_S + 0.5
            await asyncio.sleep(max(0.0, deadline - time.time()))
            at.node.executor.execute(offer(attempt, ring_s=1.0, offer=f"{EPOCH:06d}90000002"))
            await phones.until(lambda: len(phones.calls) == 2 and phones.calls[1].heard_at)
            phones.hang_up_all()
            over = await at.sink.over(attempt)
            assert over.answered
            # Who answers in the moment he rings was not heard ringing
            assert [kind for kind in at.sink.kinds(attempt) if kind != "Rang"] == ["Placed", "Answered", "Over"]
            kinds = [type(event).__name__ for event in at.floor if getattr(event, "channel", attempt) == attempt]
            assert kinds.count("CallEnded") == 1
    finally:
        phones.close()


async def test_nobody_takes_the_call_and_nobody_decides(tmp_path):
    """The controller dies while an agent's phone rings: the customer hears the message in time all the same."""
    phones = await agents("never")
    try:
        async with station(tmp_path, mix="answer+hello", endpoints=carrier_conf(phones.port, name="agents")) as at:
            on_arrival(at, lambda channel: offer(channel, ring_s=40.0))
            at.place("1", connect_s=1.25, message=MESSAGE)
            await phones.until(lambda: phones.calls)
            await at.controller_gone()
            await at.customers.until(lambda: at.customers.calls[0].ended)
            call = at.customers.calls[0]
            assert call.ended_at - call.answered_at > 1.0
            await phones.until(lambda: phones.calls[0].ended)
            assert phones.calls[0].ended == "cancelled"
            assert phones.calls[0].ended_at - call.answered_at < 1.0 + out.CONNECT_MARGIN_S + 0.5
            assert call.by == "far_end"
            await at.new_controller()

            # With a controller: it says when it is time, and nobody is rung after that
            at.on_floor.clear()
            on_arrival(at, lambda channel: do.HoldCall(NODE, channel, f"c{channel}", PLACE, "silence"))
            attempt = at.place("2", connect_s=5.0)
            await at.sink.until(lambda: at.sink.questions[1:])
            away = do.SendCall(NODE, attempt, f"c{attempt}", ToMessage(sound=MESSAGE))
            at.node.executor.execute(away)
            await at.customers.until(lambda: seen_by(at.customers, "2").ended)
            await at.sink.until(lambda: at.sink.all(out.AttemptMessage))
            assert seen_by(at.customers, "2").heard_at
    finally:
        phones.close()


@pytest.mark.parametrize(("off_s", "words"), [(-3.0, "3 s ahead of"), (5.0, "5 s behind"), (0.2, "")])
async def test_clocks_that_are_apart_are_told(tmp_path, off_s, words):
    async with station(tmp_path) as at:
        await at.controller_gone()
        told = []
        other = Node(
            at.node.settings,
            epoch=EPOCH,
            submit=lambda _: None,
            alarm=lambda *what: told.append(what),
            clock=lambda: time.time() + off_s,
        )
        await other.start()
        assert await other.wait_synced(20)
        await other.close()
        assert [kind for kind, _ in told] == (["clocks_apart"] if words else [])
        assert all(f"Asterisk {at.node.name} is {words} this machine's" in detail for _, detail in told)
