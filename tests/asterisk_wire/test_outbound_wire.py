"""Commands to dial and the question who has answered, against a session and an Asterisk played by the test."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from agi_fakes import AgiCall, header

from acd.asterisk.agi.server import FastAgiServer
from acd.asterisk.ami.session import AmiBusyError
from acd.asterisk.executor import NodeExecutor
from acd.asterisk.outbound import NodeOutbound, OutboundNodes, OutboundQuestions
from acd.asterisk.registration import Registration
from acd.asterisk.translate import Translator
from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import outbound as out
from acd.domain.definition import HangUp, ToDialplan, ToMessage
from acd.domain.errors import AmiDisconnectedError, AmiTimeoutError, AsteriskError

A = "00000700000001"
PLACE = out.PlaceAttempt("pbx", A, "sales", "PJSIP/49301@carrier", "+49301", "+49302")


class Session:
    """Takes actions; the test answers them."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, str]]] = []
        self.futures: list[asyncio.Future[Any]] = []
        self.at_once: Exception | None = None
        self.listens = 0
        self.caught: int | None = None

    def listen(self) -> None:
        self.listens += 1

    async def caught_up(self) -> None:
        self.caught = self.listens

    def send(self, action: str, fields: Any = ()) -> asyncio.Future[Any]:
        return self.send_many([(action, fields)])[0]

    def send_many(self, batch: Any) -> list[asyncio.Future[Any]]:
        made = [asyncio.get_running_loop().create_future() for _ in batch]
        self.sent += [(action, dict(fields)) for action, fields in batch]
        self.futures += made
        if self.at_once is not None:
            for future in made:
                future.set_exception(self.at_once)
                future.exception()
        return made


@dataclass
class Sink:
    reply: Callable[[out.AttemptAsked], out.OutboundReply | None] = lambda question: None
    told: list[out.OutboundEvent] = field(default_factory=list)
    questions: list[out.AttemptAsked] = field(default_factory=list)

    def tell(self, event: out.OutboundEvent) -> None:
        self.told.append(event)

    def asked(self, question: out.AttemptAsked) -> out.OutboundReply | None:
        self.questions.append(question)
        return self.reply(question)

    def dialled(self, attempt: str) -> tuple[str, str]:
        return ("+49301230001", "Bob") if attempt == A else ("", "")

    def kinds(self) -> list[str]:
        return [type(one).__name__ for one in self.told]


class FakeNode:
    """What of a node the outbound side needs."""

    def __init__(self, sink: Sink | None) -> None:
        self.name, self.calls = "pbx", Session()
        self.floor: list[ev.Event] = []
        self.translator = Translator("pbx", self.floor.append, warn=lambda kind, detail: None)
        self.executor = NodeExecutor("pbx", self.calls, self.floor.append, lambda: 5.0)
        self.outbound = NodeOutbound("pbx", self.calls, sink, lambda: 5.0)
        self.executor.lines, self.executor.unserved = self.outbound.lines.lines, self.outbound.lines.unserved


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def node(sink: Sink) -> FakeNode:
    made = FakeNode(sink)
    made.outbound.back()
    sink.told.clear()
    return made


async def answered(future: asyncio.Future[Any], what: dict[str, str] | Exception) -> None:
    if isinstance(what, Exception):
        future.set_exception(what)
    else:
        future.set_result(what)
    await asyncio.sleep(0)


async def test_placed_as_soon_as_it_is_taken(node: FakeNode, sink: Sink) -> None:
    node.outbound.execute(PLACE)
    assert not sink.told
    await answered(node.calls.futures[0], {"Response": "Success"})
    assert sink.kinds() == ["AttemptPlaced"]
    assert node.calls.sent[0][0] == "Originate"
    assert node.calls.sent[0][1]["ChannelId"] == A


async def test_refused_by_asterisk(node: FakeNode, sink: Sink) -> None:
    node.outbound.execute(PLACE)
    await answered(node.calls.futures[0], {"Response": "Error", "Message": "Extension does not exist."})
    assert sink.kinds() == ["AttemptRefused"]
    assert "Extension does not exist" in sink.told[0].detail  # type: ignore[attr-defined]
    assert not node.outbound.lines.lines


@pytest.mark.parametrize("why", [AmiDisconnectedError("away; it was not sent"), AmiBusyError("busy; not sent")])
async def test_refused_where_it_was_never_sent(node: FakeNode, sink: Sink, why: Exception) -> None:
    node.calls.at_once = why
    node.outbound.execute(PLACE)
    assert sink.kinds() == ["AttemptRefused"]


@pytest.mark.parametrize("why", [AmiDisconnectedError("gone while it was under way"), AmiTimeoutError("no answer")])
async def test_what_may_have_been_done_is_left_to_the_look(node: FakeNode, sink: Sink, why: Exception) -> None:
    node.outbound.execute(PLACE)
    await answered(node.calls.futures[0], why)
    assert not sink.told
    node.outbound.lost()
    node.outbound.look(6.0, (), first=True, margin_s=0.0)
    node.outbound.back()
    assert sink.kinds() == ["OutboundLost", "OutboundSeen", "AttemptOver", "OutboundBack"]
    assert sink.told[2].outcome is None  # type: ignore[attr-defined]


async def test_nothing_is_sent_while_the_node_is_away_or_twice(node: FakeNode, sink: Sink) -> None:
    node.outbound.lost()
    node.outbound.execute(PLACE)
    assert sink.kinds() == ["OutboundLost", "AttemptRefused"]
    node.outbound.lost()
    node.outbound.back()
    node.outbound.execute(PLACE)
    node.outbound.execute(PLACE)
    assert sink.kinds() == ["OutboundLost", "AttemptRefused", "OutboundBack"]
    assert len(node.calls.sent) == 1


async def test_ended_by_its_id(node: FakeNode) -> None:
    node.outbound.execute(out.EndAttempt("pbx", A))
    assert node.calls.sent == [("Hangup", {"Channel": A, "Cause": "16"})]


async def test_who_decides_may_fail_without_harm(node: FakeNode, sink: Sink) -> None:
    def fails(event: out.OutboundEvent) -> None:
        raise RuntimeError("a bug")

    sink.tell = fails  # type: ignore[method-assign]
    node.outbound.execute(PLACE)
    await answered(node.calls.futures[0], {"Response": "Success"})
    assert node.outbound.lines.lines[A].placed


async def test_a_node_that_there_is_not(sink: Sink, node: FakeNode) -> None:
    wire = OutboundNodes({"pbx": node}, sink)  # type: ignore[dict-item]
    wire.execute(out.EndAttempt("other", A))
    wire.execute(out.PlaceAttempt("other", A, "sales", "PJSIP/1@carrier", "1", "2"))
    assert sink.kinds() == ["AttemptRefused"]
    wire.execute(PLACE)
    assert len(node.calls.sent) == 1


async def test_without_anybody_who_decides_nothing_is_dialled() -> None:
    node = FakeNode(None)
    node.outbound.back()
    node.outbound.execute(PLACE)
    node.outbound.look(6.0, (), first=True, margin_s=0.0)
    assert not node.calls.sent


# -- commands of the floor on outbound lines -----------------------------------------------------------------------------


def offer(channel: str) -> do.OfferCall:
    return do.OfferCall("pbx", channel, "c1", "sales:0", "000001", "ann", ("PJSIP/1001",), 20.0, "default")


def sent_to(node: FakeNode) -> tuple[str, str, dict[str, str]]:
    """The context and extension of the last Redirect, and the variables set before it."""
    (setvar, values), (redirect, where) = node.calls.sent[-2:]
    assert (setvar, redirect) == ("Setvar", "Redirect")
    names = values["Variable"].removeprefix("ARRAY(").removesuffix(")").split(",")
    texts = values["Value"].replace("\\,", "\0").split(",")
    return where["Context"], where["Exten"], dict(zip(names, (text.replace("\0", ",") for text in texts), strict=True))


async def test_the_deadline_of_the_dialplan_holds_until_the_first_agent(node: FakeNode) -> None:
    lines = node.outbound.lines
    lines.asks(A, "PJSIP/carrier-1", 5.0)
    node.executor.execute(do.HoldCall("pbx", A, "c1", "sales:0", "silence"))
    assert sent_to(node)[:2] == ("acd-wait", "s")
    node.executor.execute(offer(A))
    context, exten, values = sent_to(node)
    assert (context, exten) == ("acd-connect", "000001")
    left = "$[${acd_left} - 0${acd_margin}]"
    ring = values["acd_dial"].split(",")[1]
    assert ring == f"${{IF($[{left} < 0.2]?0.2:${{IF($[{left} < 20]?{left}:20)}})}}"
    assert "acd_deadline" not in values
    node.executor.execute(do.SendCall("pbx", A, "c1", ToMessage(sound="sorry")))
    assert sent_to(node)[:2] == ("acd-message", "s")
    node.executor.execute(do.SendCall("pbx", A, "c1", HangUp()))
    assert sent_to(node)[:2] == ("acd-leave", "s")
    node.executor.execute(do.SendCall("pbx", A, "c1", ToDialplan("survey", "s")))
    assert sent_to(node)[:2] == ("acd-leave", "s")

    bridge = {"Event": "BridgeEnter", "Channel": "x", "Uniqueid": A, "BridgeUniqueid": "b", "Privilege": "call,all"}
    node.outbound.feed(bridge)
    node.executor.execute(do.HoldCall("pbx", A, "c1", "sales:0", "default"))
    context, exten, values = sent_to(node)
    assert (context, values["acd_deadline"]) == ("acd-hold", "")
    node.executor.execute(offer(A))
    context, exten, values = sent_to(node)
    assert (context, values["acd_deadline"]) == ("acd-offer", "")
    assert values["acd_dial"].split(",")[1] == "20"
    node.executor.execute(do.SendCall("pbx", A, "c1", ToMessage(sound="bye")))
    assert sent_to(node)[0] == "acd-leave"


async def test_who_waits_in_silence_goes_on_in_silence_while_an_agent_is_rung(node: FakeNode) -> None:
    node.outbound.lines.asks(A, "PJSIP/carrier-1", 5.0)
    for hold, options in (("silence", ""), ("jazz", "m(jazz)"), (None, "r")):
        node.executor.execute(replace(offer(A), hold=hold))
        assert sent_to(node)[2]["acd_dial"].rsplit(",", 1)[1] == f"gd{options}"
    # Whoever has talked to an agent, or called us, ends no ringing by a key
    node.outbound.lines.unserved.clear()
    node.executor.execute(offer(A))
    assert sent_to(node)[2]["acd_dial"].rsplit(",", 1)[1] == "gm(default)"


async def test_callers_know_of_no_deadline(node: FakeNode) -> None:
    node.executor.execute(offer("1795281218.42"))
    context, _, values = sent_to(node)
    assert context == "acd-offer"
    assert "acd_deadline" not in values


# -- the question --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def port(agi: FastAgiServer, node: FakeNode, sink: Sink) -> int:
    nodes: Any = {"pbx": node}

    def submit(event: ev.Event) -> None:
        node.floor.append(event)
        if isinstance(event, ev.CallArrived):
            node.executor.execute(offer(event.channel))

    registration = Registration(nodes, submit, clock=lambda: 1000.0)
    agi.add_route("inbound", registration.inbound)
    agi.add_route("outbound", OutboundQuestions(nodes, registration, sink, clock=lambda: 1000.0).outbound)
    return await agi.start("127.0.0.1", 0)


def asks(verdict: str = "", detail: str = "", *, entered: str = "999.5", **more: str) -> bytes:
    arguments = ("pbx", A, entered, "", "", verdict, detail)
    given = {f"agi_arg_{index + 1}": value for index, value in enumerate(arguments)} | {"agi_uniqueid": A} | more
    return header("outbound", **given)


async def variables(call: AgiCall) -> str:
    """The command that sets what answers the question; it is read back as it was set."""
    command = await call.answer()
    place = re.search(r'(acd-[a-z]+)\W+(\w+)\W+1"', command)
    assert place is not None, command
    assert (await call.command()).startswith("GET VARIABLE")
    call.raw(f"200 result=1 ({place[1]},{place[2]},1)\n".encode())
    return command


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("HUMAN", out.Verdict.PERSON),
        ("MACHINE", out.Verdict.MACHINE),
        ("NOTSURE", out.Verdict.UNSURE),
        ("nonsense", out.Verdict.UNSURE),
        ("", out.Verdict.PERSON),
    ],
)
async def test_a_line_asks_and_hears_a_message(port: int, sink: Sink, said: str, verdict: out.Verdict) -> None:
    sink.reply = lambda question: out.PlayMessage("sorry")
    call = await AgiCall.open(port, asks(said, "MAXWORDS-3-3"))
    told = await variables(call)
    assert "acd_sound,acd_next" in told
    assert "acd-message" in told
    (question,) = sink.questions
    assert (question.attempt, question.verdict, question.at, question.detail) == (A, verdict, 999.5, "MAXWORDS-3-3")
    assert sink.kinds() == ["AttemptPlaced", "AttemptAnswered", *(["AttemptClassified"] if said else [])]
    await call.ended()


async def test_a_line_is_hung_up(port: int, sink: Sink) -> None:
    sink.reply = lambda question: out.HangUpLine()
    call = await AgiCall.open(port, asks())
    assert "acd-leave" in await variables(call)
    await call.ended()


async def test_a_line_becomes_a_call_of_the_floors_within_the_question(port: int, sink: Sink, node: FakeNode) -> None:
    sink.reply = lambda question: out.Connect(
        ev.CallArrived(question.at, "pbx", question.channel, question.channel_name, question.linkedid, "sales")
    )
    call = await AgiCall.open(port, asks())
    told = await variables(call)
    assert "acd-connect" in told
    assert "000001" in told
    assert [type(event) for event in node.floor] == [ev.CallArrived]
    assert not node.calls.sent
    await call.ended()


async def test_an_attempt_that_nobody_knows_is_left_to_the_dialplan(port: int, sink: Sink) -> None:
    call = await AgiCall.open(port, asks())
    assert await call.ended() == b""
    assert len(sink.questions) == 1


async def test_a_line_that_is_over_is_asked_nothing(port: int, sink: Sink, node: FakeNode) -> None:
    node.outbound.execute(PLACE)
    for what in ({"Event": "DialEnd", "DestUniqueid": A, "DialStatus": "ANSWER"}, {"Event": "Hangup", "Uniqueid": A}):
        node.outbound.feed({**what, "Privilege": "call,all"})
    call = await AgiCall.open(port, asks())
    assert await call.ended() == b""
    assert not sink.questions
    assert sink.kinds() == ["AttemptPlaced", "AttemptAnswered", "AttemptOver"]


@pytest.mark.parametrize(
    "more",
    [
        {"agi_arg_1": "other"},
        {"agi_arg_2": "00000700000002"},
        {"agi_uniqueid": "1795281218.42", "agi_arg_2": "1795281218.42"},
        {"agi_uniqueid": "", "agi_arg_2": ""},
        {"agi_arg_2": None},
    ],
)
async def test_a_question_of_no_attempt_of_ours(port: int, sink: Sink, more: dict[str, Any]) -> None:
    call = await AgiCall.open(port, asks(**more))
    assert await call.ended() == b""
    assert not sink.questions
    assert not sink.told


async def test_a_question_of_long_ago_is_asked_only_if_somebody_still_waits(port: int, sink: Sink) -> None:
    call = await AgiCall.open(port, asks(entered="990.0"))
    assert (await call.command()).startswith("GET VARIABLE")
    call.eof()
    assert await call.ended() == b""
    assert not sink.questions
    sink.reply = lambda question: out.HangUpLine()
    call = await AgiCall.open(port, asks(entered="990.0"))
    assert (await call.command()).startswith("GET VARIABLE")
    call.raw(b"200 result=1 (2)\n")
    assert "acd-leave" in await variables(call)
    assert len(sink.questions) == 1
    await call.ended()


class Looking:
    """The session that may look: gives these rows of Asterisk's database, or fails."""

    def __init__(self, **rows: str) -> None:
        self.rows: dict[str, str] | Exception = rows
        self.asked: list[tuple[str, Any]] = []

    async def list_action(self, action: str, fields: Any = ()) -> list[dict[str, str]]:
        self.asked.append((action, dict(fields)))
        if isinstance(self.rows, Exception):
            raise self.rows
        return [{"Key": f"/acd-optouts/{key}", "Val": value} for key, value in self.rows.items()]


async def test_who_opted_out_unheard_is_told_at_a_look_and_taken_away_after_the_next(
    node: FakeNode, sink: Sink
) -> None:
    looking: Any = Looking(**{A: "4.250000", "00000700000002": "never", "anybody": "3"})
    await node.outbound.read_opt_outs(looking)
    assert looking.asked == [("DBGetTree", {"Family": "acd-optouts"})]
    assert sink.told == [
        out.AttemptOptedOut(4.25, "pbx", A, ""), out.AttemptOptedOut(5.0, "pbx", "00000700000002", ""),
    ]  # fmt: skip
    assert node.calls.sent == []
    del looking.rows["00000700000002"]
    await node.outbound.read_opt_outs(looking)
    assert node.calls.sent == [("Setvar", {"Variable": f"DB_DELETE(acd-optouts/{A})", "Value": "1"})]
    await answered(node.calls.futures[0], AmiDisconnectedError("away"))
    # What is still there is taken away at the next one; an empty family is no fault
    await node.outbound.read_opt_outs(looking)
    assert len(node.calls.sent) == 2
    looking.rows = AsteriskError("Database entry not found")
    sink.told.clear()
    await node.outbound.read_opt_outs(looking)
    assert sink.told == []


async def test_a_time_that_has_not_come_is_none(node: FakeNode, sink: Sink) -> None:
    await node.outbound.read_opt_outs(Looking(**{A: "99999999999"}))  # type: ignore[arg-type]
    assert [one.at for one in sink.told if isinstance(one, out.AttemptOptedOut)] == [5.0]


async def test_nobody_who_dials_nothing_asks(sink: Sink) -> None:
    looking: Any = Looking()
    await FakeNode(None).outbound.read_opt_outs(looking)
    assert looking.asked == []


def test_who_was_dialled_is_found_again_by_his_own_number(node: FakeNode) -> None:
    """Asterisk shows ours on his line, so what nobody has written down of his call is not lost with it."""

    def seen(channel: str, number: str = "", name: str = "Us") -> ev.SeenCall:
        return ev.SeenCall(
            channel, f"PJSIP/{channel}", "1", ev.Phase.HELD, "7", None, caller_number=number, caller_name=name
        )

    unknown, caller = seen("00000100000099"), seen("1710928800.5", "5551", "Eve")
    found = node.outbound.named((seen(A), unknown, caller))
    assert found == (seen(A, "+49301230001", "Bob"), unknown, caller)
    assert FakeNode(None).outbound.named((seen(A),)) == (seen(A),)


# -- a caller's question -------------------------------------------------------------------------------------------------


async def test_of_a_caller_who_comes_back_it_is_read_before_he_is_taken(port: int, node: FakeNode) -> None:
    call = await AgiCall.open(port, header("inbound", agi_arg_1="pbx|999.5|c7|sales:0:1:2:3:4||800"))
    assert await call.command() == 'GET VARIABLE "acd_call"'
    assert node.calls.listens == 1
    assert node.calls.caught is None, "not before he has said that he is there"
    assert not node.floor
    call.raw(b"200 result=1 (c7)\n")
    assert "acd-offer" in await call.command()
    assert node.calls.caught == 1, "all that was read is handed on first"
    assert [event.call for event in node.floor if isinstance(event, ev.CallArrived)] == ["c7"]


@pytest.mark.parametrize("gone", [True, False])
async def test_who_has_just_been_sent_somewhere_is_asked_again(port: int, node: FakeNode, gone: bool) -> None:
    """He asked while we stood still, and our Redirect of now has not reached him when he says that he waits."""
    given = {f"agi_arg_{n}": value for n, value in enumerate(("pbx", "990.0", "c9", "", "", "100"), 1)}
    call = await AgiCall.open(port, header("inbound", **given, agi_uniqueid="c1"))
    assert (await call.command()).startswith("GET VARIABLE")
    node.executor.execute(do.SendCall("pbx", "c1", "c9", ToDialplan("survey", "s")))
    call.raw(b"200 result=1 (c9)\n")
    for _ in range(20):
        await asyncio.sleep(0)
    assert node.floor == []
    node.calls.futures[-1].set_result({"Response": "Success"})
    assert (await call.command()).startswith("GET VARIABLE")
    if gone:
        call.eof()
        await call.ended()
        assert node.floor == []
    else:
        call.raw(b"200 result=1 (c9)\n")
        assert "acd_next" in await call.command()
        (arrived,) = node.floor
        assert isinstance(arrived, ev.CallArrived)
        assert (arrived.call, arrived.asked_at) == ("c9", 990.0)
