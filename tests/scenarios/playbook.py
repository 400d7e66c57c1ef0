"""Plays a script against the floor and writes down what follows, in words a telephony engineer can review.

A script is a floor, then a dialogue::

    floor
      queue sales ring=20 wrap=10
      agent ann 101 sales
      did 100 sales

    >> pbx up
    >> ann logs in
       ann 1 AVAILABLE
    << reply ok: logged in
    >> +1.5s c1 arrives did=100
       ...

``>>`` is an event, ``+1.5s`` lets virtual time pass before it (timers fire on the way, at their own time, shown in
brackets). Indented lines are records, ``<<`` lines commands. What an event may say stands in the docstrings below.
Ids are given names: a call that of its channel (``c1``, its second call ``c1'``), an offer a number (``offer1``), as has
a lasting line that is called for (``line1``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from floorkit import UTC_0, Clock, RecordBook, define

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import records as rec
from acd.domain.definition import FloorDefinition, ToDialplan, ToMessage
from acd.domain.events import AgentAction, CallAction, Phase, SeenCall, SeenConsult, SeenLine
from acd.domain.place import Place
from acd.domain.states import OfferOutcome, PhoneState
from acd.floor import Floor

NODE = "pbx"


def _consults(text: str | None) -> tuple[SeenConsult, ...] | None:
    """``s1:602:up,s2``; a call without a target has dialled nobody."""
    if text is None:
        return None
    found = [(*one.split(":"), "", "")[:3] for one in text.split(",") if one != "none"]
    return tuple(SeenConsult(channel, target, up=up == "up", dials=bool(target)) for channel, target, up in found)


def _phones(text: str) -> dict[str, OfferOutcome]:
    """``PJSIP/101=busy PJSIP/102=declined``: what each phone did."""
    return {phone: OfferOutcome(outcome) for phone, outcome in (word.split("=") for word in text.split())}


class ScriptError(AssertionError):
    """A line of a script cannot be understood."""


@dataclass
class Line:
    """What the dialplan keeps on one caller's channel."""

    node: str
    entered_at: float
    did: str
    call: str | None = None
    place: str = ""
    offer: str | None = None
    agent: str | None = None


def play(text: str) -> str:
    """The script ``text`` with everything that really follows in place of what it expected."""
    head, *blocks = re.split(r"^(?=>> )", text, flags=re.MULTILINE)
    stage = Stage(re.sub(r"^floor$", "", re.sub(r"^#.*$", "", head, flags=re.MULTILINE), flags=re.MULTILINE))
    out = [head]
    for block in blocks:
        lines = block.rstrip("\n").split("\n")
        seen = [line for line in lines[1:] if line.startswith("   | ")]
        # Comments and blank lines behind the expectations belong to the next event
        tail = len(lines)
        while tail > 1 and (not lines[tail - 1].strip() or lines[tail - 1].startswith("#")):
            tail -= 1
        try:
            answers = stage.event(lines[0][3:], [line[5:] for line in seen])
        except (KeyError, ValueError, IndexError) as error:
            raise ScriptError(f"cannot play {lines[0]!r}: {error!r}") from error
        out.append("\n".join([lines[0], *seen, *answers, *lines[tail:]]) + "\n")
    return "".join(out)


class Stage:
    """One floor, its record book, and what stands on the channels."""

    def __init__(self, text: str) -> None:
        self.definition: FloorDefinition = define(text)
        definition = self.definition
        self.text = [line.split("#", 1)[0].strip() for line in text.splitlines() if line.split("#", 1)[0].strip()]
        self.edits = 0
        self.clock = Clock()
        self.epoch = 1
        self.floor = Floor(definition, epoch=1, started_at=UTC_0)
        self.book = RecordBook()
        self.lines: dict[str, Line] = {}
        self.names: dict[str, str] = {}
        self.offers: dict[str, str] = {}
        self.own_lines: dict[str, str] = {}
        self.out: list[str] = []

    # -- events ------------------------------------------------------------------------------------------------------

    def event(self, text: str, seen: list[str]) -> list[str]:
        """Play one event; what follows, as lines."""
        self.out = []
        words = text.split()
        if match := re.fullmatch(r"\+([\d.]+)s", words[0]):
            self._pass(float(match[1]))
            words.pop(0)
        keys = dict(word.split("=", 1) for word in words if "=" in word and not word.startswith("PJSIP"))
        words = [word for word in words if word.split("=")[0] not in keys]
        at = self.clock.now.utc if "at" not in keys else UTC_0 + float(keys.pop("at"))
        if words == ["wait"]:
            return self.out
        if words == ["the", "floor", "is", "edited"]:
            self._edited(seen)
            return self.out
        if words[0] == "controller":
            self._new_life(words[1:], keys)
            return self.out
        for pattern, make in self.grammar:
            found = re.fullmatch(pattern, " ".join(words))
            if found:
                self._handle(make(self, at, *found.groups(), keys, seen))
                return self.out
        raise ScriptError(f"no such event: {text!r}")

    def _edited(self, seen: list[str]) -> None:
        """``the floor is edited``, then ``| LINE`` and ``| without LINE`` lines: lines of the floor, by word and name."""
        for row in seen:
            gone, words = row.startswith("without "), row.removeprefix("without ").split()
            key = words[:3] if words[0] in ("stage", "prefer") else words[:2]
            if not gone or len(words) == len(key):
                self.text = [line for line in self.text if line.split()[: len(key)] != key]
            if not gone:
                self.text.append(row)
        # Queues before their stages
        self.text.sort(key=lambda line: line.split()[:1] in (["stage"], ["prefer"]))
        self.definition = replace(define("\n".join(self.text)), revision=f"rev{self.edits + 2}")
        self.edits += 1
        self._handle(ev.FloorEdited(self.clock.now.utc, self.definition, "request"))

    def _asked_for(
        self, at: float, channel: str, what: str, rest: str | None, keys: dict[str, str], _: object
    ) -> ev.Event:
        """``CHANNEL is escalated [to QUEUE] | is transferred to QUEUE|CONTEXT,EXTEN | is given NAME=VALUE...``."""
        call = self.lines[channel].call or ""
        if what == "transferred":
            context, comma, exten = (rest or "").partition(",")
            to, queue = (ToDialplan(context, exten), None) if comma else (None, rest)
            return ev.CallRequested(at, call, CallAction.TRANSFER, queue, request="request", to=to)
        if what == "escalated":
            return ev.CallRequested(at, call, CallAction.ESCALATE, rest, request="request")
        return ev.CallRequested(at, call, CallAction.SET_ATTRIBUTES, attributes=dict(keys), request="request")

    def _pass(self, seconds: float) -> None:
        until = self.clock.now.mono + seconds
        while (deadline := self.floor.next_deadline()) is not None and deadline <= until:
            self.clock.reach(deadline)
            self._handle(ev.DeadlinePassed(self.clock.now.utc), f"[{self.clock.s:g}s] ")
        self.clock.reach(until)

    def _new_life(self, words: list[str], keys: dict[str, str]) -> None:
        """``controller restarts [without agents=NAME queues=NAME]``: what is recorded is remembered, nothing else."""
        if words[0] != "restarts":
            raise ScriptError(f"the controller cannot {' '.join(words)}")
        gone = {*keys.get("agents", "").split(","), *keys.get("queues", "").split(",")}
        d = self.definition
        self.definition = replace(
            d,
            agents={
                n: replace(a, queues=tuple(q for q in a.queues if q not in gone))
                for n, a in d.agents.items()
                if n not in gone
            },
            queues={n: q for n, q in d.queues.items() if n not in gone},
            entry_points={n: e for n, e in d.entry_points.items() if e.queue not in gone},
        )
        self.epoch += 1
        self.floor = Floor(self.definition, epoch=self.epoch, started_at=self.clock.now.utc)
        self._handle(self.book.memory(self.clock.now.utc))

    def _look(self, at: float, node: str, how: str, keys: dict[str, str], seen: list[str]) -> ev.Event:
        """``NODE up | restarted | compared [margin=S] [hosts=PHONE:HOST,...] [lines=LINE:AGENT[:talks],...]
        [PHONE=STATE...]``, then lines
        ``| CHANNEL PHASE [offerN AGENT]``; ``call=``/``place=`` override what the controller wrote on that channel;
        ``entered=S``: since when one who is ``asking`` is here;
        ``device=PHONE consults=CHANNEL[:TARGET[:up]],...``: the other calls of that phone (``none``: it has none)."""
        calls = []
        for row in seen:
            words = row.split()
            own = dict(word.split("=", 1) for word in words if "=" in word)
            channel, phase, *rest = [word for word in words if "=" not in word]
            line = self.lines[channel]
            offer = self.offer(rest[0]) if rest else None
            calls.append(
                SeenCall(
                    channel=channel,
                    channel_name=f"PJSIP/{channel}",
                    linkedid=channel,
                    phase=Phase(phase),
                    call=own.get("call", line.call) or None,
                    place=Place.decode(own.get("place", line.place)),
                    offer=offer,
                    agent=rest[1] if len(rest) > 1 else None,
                    agent_device=own.get("device"),
                    target=own.get("target", ""),
                    consults=_consults(own.get("consults")),
                    entered_at=UTC_0 + float(own["entered"]) if "entered" in own else 0.0,
                )
            )
        phones = {f"PJSIP/{number}": PhoneState(state) for number, state in keys.items() if number.isdigit()}
        margin = float(keys.get("margin", 0))
        pairs = [pair.split(":") for pair in keys.get("hosts", "").split(",") if pair]
        hosts = {f"PJSIP/{number}": host for number, host in pairs}
        lines = tuple(
            SeenLine(agent, self.own_line(line), f"PJSIP/{line}", talks=bool(talks))
            for line, agent, *talks in (one.split(":") for one in keys.get("lines", "").split(",") if one)
        )
        return ev.NodeResynced(at, node, tuple(calls), phones, margin, how == "restarted", hosts, lines)

    def _arrives(self, at: float, channel: str, again: str | None, keys: dict[str, str], _: list[str]) -> ev.Event:
        """``CHANNEL arrives [again] did=DID [from=NUMBER] [on=NODE] [ATTRIBUTE=VALUE...]``: again, as the hold loop asks."""
        if again is None:
            self.lines[channel] = Line(keys.get("on", NODE), at, keys["did"])
        line = self.lines[channel]
        return ev.CallArrived(
            at=line.entered_at,
            node=line.node,
            channel=channel,
            channel_name=f"PJSIP/{channel}",
            linkedid=channel,
            did=line.did,
            caller_number=keys.get("from", ""),
            call=line.call,
            place=Place.decode(line.place),
            variables={name: value for name, value in keys.items() if name not in ("did", "from", "on")},
        )

    def _asks(self, at: float, agent: str, what: str, rest: str | None, *_: object) -> ev.Event:
        """``AGENT logs in [at PHONE] [on CALL] | logs out | pauses [REASON] | resumes [on CALL]``."""
        action = {
            "logs in": AgentAction.LOGIN,
            "logs out": AgentAction.LOGOUT,
            "pauses": AgentAction.PAUSE,
            "resumes": AgentAction.RESUME,
        }[what]
        place, _, channel = (rest or "").partition("on ")
        phone = place.removeprefix("at ").strip() if place and action is AgentAction.LOGIN else None
        reason = rest if action is AgentAction.PAUSE else None
        return ev.AgentRequested(at, agent, action, reason, phone, "request", channel)

    grammar: tuple[tuple[str, Callable[..., ev.Event]], ...] = (
        (r"(\w+) (up|restarted|compared)", _look),
        (r"records are (full|stored)", lambda self, at, how, *_: ev.RecordsFilled(at, how == "full")),
        (r"(\w+) lost", lambda self, at, node, *_: ev.NodeLost(at, node)),
        (r"(\w+) arrives( again)?", _arrives),
        (r"(\w+) hangs up", lambda self, at, c, *_: ev.CallEnded(at, self.node_of(c), c, 16)),
        (
            r"(\w+) transferred (blind|attended) to (\S+)(?: by (offer\d+))?",
            lambda self, at, c, kind, target, offer, *_: ev.CallTransferred(
                at, self.node_of(c), c, kind, target, self.offer(offer) if offer else None
            ),
        ),
        (r"(\w+) left to (\S+)", lambda self, at, c, target, *_: ev.CallLeft(at, self.node_of(c), c, target)),
        (r"(offer\d+) rings", lambda self, at, offer, *_: ev.AgentRang(at, self.offer(offer))),
        (
            r"(offer\d+) answered(?: at (\S+))?",
            lambda self, at, offer, phone, *_: ev.AgentAnswered(at, self.offer(offer), "leg", phone or ""),
        ),
        (r"(\w+) is (escalated|transferred|given)(?: to (\S+))?", _asked_for),
        (r"(offer\d+) puts on hold", lambda self, at, offer, *_: ev.CallHeld(at, self.offer(offer))),
        (r"(offer\d+) takes back", lambda self, at, offer, *_: ev.CallRetrieved(at, self.offer(offer))),
        (
            r"(offer\d+) consults (\S+)(?: on (\w+))?",
            lambda self, at, offer, to, channel, *_: ev.ConsultBegan(at, self.offer(offer), to, channel or ""),
        ),
        (
            r"(offer\d+) consult(?: on (\w+))? is (up|not up|held)",
            lambda self, at, offer, channel, how, *_: ev.ConsultChanged(
                at, self.offer(offer), channel or "", how != "not up", how == "held"
            ),
        ),
        (
            r"(offer\d+) consult(?: on (\w+))? over",
            lambda self, at, offer, channel, *_: ev.ConsultEnded(at, self.offer(offer), channel or ""),
        ),
        (r"(\w+) joined into (\w+)", lambda self, at, c, into, *_: ev.CallJoined(at, self.node_of(c), c, into)),
        (
            r"(offer\d+) fails: (\w+)((?: PJSIP/\d+=\w+)*)",
            lambda self, at, offer, outcome, phones, *_: ev.OfferFailed(
                at, self.offer(offer), OfferOutcome(outcome), "", _phones(phones)
            ),
        ),
        (
            r"(offer\d+) loses (\S+): (\w+)",
            lambda self, at, offer, phone, outcome, *_: ev.LegFailed(
                at, self.offer(offer), phone, OfferOutcome(outcome)
            ),
        ),
        (r"(offer\d+) talk ended by (\w+)", lambda self, at, offer, by, *_: ev.TalkEnded(at, self.offer(offer), by)),
        (
            r"phone (\S+) is (\w+)",
            lambda self, at, device, state, *_: ev.PhoneStateChanged(at, device, PhoneState(state)),
        ),
        (
            r"line (\w+) waits for (\w+)",
            lambda self, at, line, agent, *_: ev.LineWaits(at, agent, NODE, self.own_line(line), f"PJSIP/{line}"),
        ),
        (
            r"line (\w+) is (held|taken back)",
            lambda self, at, line, how, *_: ev.LineHeld(at, NODE, self.own_line(line), how == "held"),
        ),
        (r"line (\w+) hangs up", lambda self, at, line, *_: ev.LineEnded(at, NODE, self.own_line(line))),
        (
            r"line (\w+) (fails|is refused): (.+)",
            lambda self, at, line, how, why, *_: ev.LineFailed(
                at, NODE, self.own_line(line), why, refused=how != "fails"
            ),
        ),
        (r"(\w+) (logs in|logs out|pauses|resumes)(?: (.+))?", _asks),
    )

    def node_of(self, channel: str) -> str:
        return self.lines[channel].node

    def offer(self, name: str) -> str:
        """The id of ``offerN``; unknown ones are as good as offers nobody ever made."""
        return {name: identity for identity, name in self.offers.items()}.get(name, name)

    def own_line(self, name: str) -> str:
        """The id of ``lineN``; of any other line its name."""
        return {name: identity for identity, name in self.own_lines.items()}.get(name, name)

    # -- what follows ------------------------------------------------------------------------------------------------

    def _handle(self, event: ev.Event, prefix: str = "") -> None:
        step = self.floor.handle(event, self.clock.now)
        self.book.fold(step.records)
        for record in step.records:
            if isinstance(record, rec.CallOpened):
                self._name(record)
        for command in step.commands:
            if isinstance(command, do.OfferCall):
                self.offers.setdefault(command.offer, f"offer{len(self.offers) + 1}")
            if isinstance(command, do.CallLine):
                self.own_lines[command.line] = f"line{len(self.own_lines) + 1}"
            if isinstance(command, do.ChannelCommand):
                line = self.lines[command.channel]
                line.call, line.place = command.call, command.place
        self.out += [f"   {prefix}{self._plain(self._record(record))}" for record in step.records]
        self.out += [f"<< {prefix}{self._plain(self._command(command))}" for command in step.commands]

    def _name(self, record: rec.CallOpened) -> None:
        name = record.channel
        while name in self.names.values():
            name += "'"
        self.names[record.call] = name

    def _plain(self, text: str) -> str:
        return re.sub(r"\b\d{14}\b", lambda m: self.names.get(m[0]) or self.offers.get(m[0]) or m[0], text)

    def _time(self, at: float) -> str:
        return "" if abs(at - self.clock.now.utc) < 1e-6 else f" @{round(at - UTC_0, 3):g}s"

    def _record(self, record: rec.Record) -> str:
        match record:
            case rec.CallOpened(call, queue=queue, priority=priority, entered_at=at, client=client, from_call=before):
                was = f", for {client}" if client else ""
                was += f", from {before}" if before else ""
                return f"call {call} opens in {queue or 'no queue'}, priority {priority}{was}{self._time(at)}"
            case rec.CallMoved(call, queue):
                return f"call {call} moves to {queue}"
            case rec.CallAnswered(call, agent, at):
                return f"call {call} answered by {agent}{self._time(at)}"
            case rec.CallClosed(call, at, outcome, by, _, target):
                to = f", to {target}" if target else ""
                return f"call {call} closes: {outcome}, ended by {by}{to}{self._time(at)}"
            case rec.CallTargeted(call, target):
                return f"call {call} went to {target}"
            case rec.SegmentOpened(call, serial, kind, at, queue, agent, offer, target):
                whom = f" {agent} {offer}" if agent else f" in {queue}"
                whom += f" with {target}" if target else ""
                return f"{call} segment {serial} {kind}{whom}{self._time(at)}"
            case rec.SegmentClosed(call, serial, at, outcome, agent=agent):
                whose = f", {agent}'s" if agent else ""
                return f"{call} segment {serial} ends{f': {outcome}' if outcome else ''}{whose}{self._time(at)}"
            case rec.DecisionMade(call, serial, kind=kind, detail=detail):
                return f"{call} decision {serial} {kind}: {explain(kind, detail)}"
            case rec.AgentStateChanged():
                return self._state(record)
            case rec.AgentIntentChanged(agent, pending, phone):
                return f"{agent} intends {pending or 'nothing'}{f', at {phone}' if phone else ''}"
        raise ScriptError(f"no words for {record}")

    def _state(self, r: rec.AgentStateChanged) -> str:
        parts = [f"{r.agent} {r.serial} {r.state}"]
        parts += [f"({r.reason})"] if r.reason else []
        parts += [r.call] if r.call else []
        parts += [f"until {round(r.until - UTC_0, 3):g}s"] if r.until is not None else []
        parts += [f"idle since {round(r.idle_since - UTC_0, 3):g}s"] if r.idle_since != r.at else []
        parts += [f"at {r.phone}"] if r.phone else []
        parts += [f"then {r.pending}"] if r.pending else []
        return " ".join(parts) + self._time(r.at)

    def _command(self, command: do.Command) -> str:
        match command:
            case do.OfferCall(leg=leg, lasting=True):
                return f"OFFER {command.call} to {command.agent} on {self.own_lines.get(leg, leg)}: {command.offer}"
            case do.CallLine(line=line, music=music, auto_answer=by_itself):
                auto = ", auto-answer" if by_itself else ""
                return f"CALL {command.agent} at {command.device}, {music}: {self.own_lines[line]}{auto}"
            case do.EndLine(line=line):
                return f"END {self.own_lines.get(line, line)}"
            case do.OfferCall():
                auto = ", auto-answer" if command.auto_answer else ""
                phones = "&".join(command.phones)
                ring = f"{command.ring_timeout_s:g}s"
                return f"OFFER {command.call} to {command.agent} at {phones} for {ring}: {command.offer}{auto}"
            case do.HoldCall() | do.MarkCall():
                verb = "HOLD" if isinstance(command, do.HoldCall) else "MARK"
                agent = f", {command.agent}" if isinstance(command, do.MarkCall) and command.agent else ""
                return f"{verb} {command.call} {self._place(command.place)}, {command.hold or 'ringback'}{agent}"
            case do.SendCall(_, channel, _, to):
                if isinstance(to, ToMessage):
                    return f"SEND {channel} to message {to.sound}"
                where = f"{to.context},{to.exten},{to.priority}" if isinstance(to, ToDialplan) else "hang-up"
                return f"SEND {channel} to {where}"
            case do.Reply(_, ok, message, _):
                return f"reply {'ok' if ok else 'refused'}: {message}"
            case do.ReportDrift(kind, detail):
                return f"drift {kind}: {detail}"
            case do.RaiseAlarm(kind, detail):
                return f"alarm {kind}: {detail}"
        raise ScriptError(f"no words for {command}")

    def _place(self, text: str) -> str:
        place = Place.decode(text)
        assert place is not None
        joined, here = round(place.joined_at - UTC_0, 3), round(place.queue_joined_at - UTC_0, 3)
        extras = "".join(f", {name}={value}" for name, value in place.extras)
        extras += "".join(f", not {agent} ({reason})" for agent, reason in place.barred)
        return f"in {place.queue} (priority {place.priority}, joined {joined:g}s, this queue {here:g}s{extras})"


def _terms(one: dict[str, object]) -> str:
    """``ann idle 3s, points 70``: one of the best, and by what."""
    more = [f"{key} {value}" for key, value in one.items() if key not in ("agent", "idle_s")]
    return ", ".join([f"{one['agent']} idle {one['idle_s']:g}s", *more])


def _skipped(d: dict[str, object]) -> str:
    skipped = d.get("skipped")
    return "".join(f"; not {own}: {why}" for own, why in skipped.items()) if isinstance(skipped, dict) else ""


def explain(kind: str, detail: dict[str, object]) -> str:
    """A decision's detail in one line."""
    d: dict[str, object] = dict(detail)
    passed = d.get("passed_over")
    over = ", ".join(f"{n} {why}" for why, n in sorted(passed.items())) if isinstance(passed, dict) else ""
    excluded = d.get("excluded")
    if isinstance(excluded, dict):
        over = ", ".join([over] * bool(over) + [f"{agent} ({why})" for agent, why in sorted(excluded.items())])
    if kind == "offered":
        best = ", ".join(map(_terms, d.get("best", ())))  # type: ignore[call-overload]
        if "preferred" in d:
            alone = f"for {d['preferred']} alone ({d['preferred_as']}){_skipped(d)}"
            return f"{d['trigger']}; waited {d['call_wait_s']:g}s; {alone}"
        best = f"best: {best}{_skipped(d)}"
        several = f"; rings {', '.join(d['agents'])}" if "agents" in d else ""  # type: ignore[arg-type]
        stage = f"; stage {d['stage']}" if "stage" in d else ""
        return f"{d['trigger']}; waited {d['call_wait_s']:g}s{stage}; {best}{several}; passed over: {over or 'nobody'}"
    if kind == "waits":
        node = f"; {d['node']}" if "node" in d else ""
        if "preferred" in d:
            return f"for {d['preferred']} alone ({d['preferred_as']}), who is {d['preferred_state']}{_skipped(d)}{node}"
        return f"{d['able']} of {d['members']} agents: {over or 'nobody'}{_skipped(d)}{node}"
    return ", ".join(f"{key} {value}" for key, value in d.items() if value != "")
