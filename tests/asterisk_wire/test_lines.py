"""One end of every attempt, whatever the order in which Asterisk tells of it.

Events in short: ``begin``, ``ring``, ``end:BUSY`` (DialEnd), ``success``, ``failure:3`` (OriginateResponse and its reason),
``bridge``, ``hangup:17``, ``message``, ``optout``, ``fax``, ``ask`` (the question by AGI), ``taken`` (Asterisk has taken the
Originate), ``back`` (we hang it up), ``wait`` (what waits has waited long enough).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import permutations

import pytest

from acd.asterisk import lines as lines_module
from acd.asterisk.lines import Lines, seen_attempt
from acd.domain import outbound as out
from acd.domain.campaigns import AttemptOutcome

A = "00000700000001"
B = "00000700000002"


class Wire:
    """Lines of one node, their clock and what they told."""

    def __init__(self) -> None:
        self.told: list[out.OutboundEvent] = []
        self.now = 1000.0
        self.timers: list[Callable[[], None]] = []
        self.lines = Lines(
            "pbx", self.told.append, clock=lambda: self.now, later=lambda _, what: self.timers.append(what)
        )

    def does(self, *words: str, attempt: str = A) -> None:
        for word in words:
            self.now += 0.01
            name, _, detail = word.partition(":")
            stamp = {"Timestamp": f"{self.now:.6f}", "Privilege": "call,all"}
            channel = {"Channel": "PJSIP/carrier-1", "Uniqueid": attempt, "Linkedid": attempt}
            dest = {"DestChannel": "PJSIP/carrier-1", "DestUniqueid": attempt, "DestLinkedid": attempt}
            match name:
                case "begin":
                    self.lines.feed({"Event": "DialBegin", **dest, **stamp})
                case "ring":
                    self.lines.feed({"Event": "DialState", "DialStatus": "RINGING", **dest, **stamp})
                case "end":
                    self.lines.feed({"Event": "DialEnd", "DialStatus": detail, **dest, **stamp})
                case "success":
                    self.lines.feed(
                        {"Event": "OriginateResponse", "Response": "Success", "Reason": "4", **channel, **stamp}
                    )
                case "failure":
                    response = {"Event": "OriginateResponse", "Response": "Failure", "Reason": detail or "0"}
                    self.lines.feed({**response, **channel, **stamp})
                case "bridge":
                    self.lines.feed({"Event": "BridgeEnter", "BridgeUniqueid": "b", **channel, **stamp})
                case "hangup":
                    self.lines.feed({"Event": "Hangup", "Cause": detail, **channel, **stamp})
                case "message" | "optout" | "fax":
                    said = {"message": "AcdMessage", "optout": "AcdOptOut", "fax": "AcdFax"}[name]
                    more = {"Played": detail.split(":")[0], "Key": detail, "Privilege": "user,all"}
                    more["Missing"] = detail.partition(":")[2]
                    self.lines.feed({"Event": "UserEvent", "UserEvent": said, **channel, **stamp, **more})
                case "ask":
                    self.lines.asks(attempt, "PJSIP/carrier-1", self.now)
                    if detail:
                        self.lines.classified(attempt, self.now, out.Verdict(detail), "WHY")
                case "taken":
                    self.lines.placed(attempt)
                case "back":
                    self.lines.taken_back(attempt)
                case "wait":
                    due, self.timers = self.timers, []
                    for what in due:
                        what()
                case _:
                    raise AssertionError(word)

    def kinds(self, attempt: str = A) -> list[str]:
        return [
            type(one).__name__.removeprefix("Attempt") for one in self.told if getattr(one, "attempt", "") == attempt
        ]

    def over(self, attempt: str = A) -> out.AttemptOver:
        (end,) = [one for one in self.told if isinstance(one, out.AttemptOver) and one.attempt == attempt]
        return end

    def look(self, *channels: dict[str, str], first: bool = True, margin_s: float = 0.0) -> None:
        self.lines.look(self.now, channels, first=first, margin_s=margin_s)


def wire(*words: str) -> Wire:
    """An attempt was sent; then this happened."""
    made = Wire()
    assert made.lines.open(A) is not None
    made.does(*words)
    return made


def channel(attempt: str, state: str = "Up", context: str = "acd-out", **more: str) -> dict[str, str]:
    return {
        "Uniqueid": attempt,
        "Channel": "PJSIP/carrier-1",
        "ChannelState": {"Up": "6", "Ringing": "5", "Ring": "4", "Down": "0"}[state],
        "ChannelStateDesc": state,
        "Context": context,
        "BridgeId": "",
        "Application": "AppDial2",
        "Duration": "00:01:05",
        **more,
    }


def in_order(words: Iterable[str], *pairs: tuple[str, str]) -> bool:
    """Whether the first word of each pair comes before the second."""
    order = list(words)
    return all(order.index(a) < order.index(b) for a, b in pairs if a in order and b in order)


FATES = [
    ("end:BUSY failure:0 hangup:17", AttemptOutcome.BUSY),
    ("end:CONGESTION failure:0 hangup:34", AttemptOutcome.CONGESTION),
    ("end:NOANSWER failure:0 hangup:38", AttemptOutcome.CONGESTION),
    ("end:NOANSWER failure:0 hangup:42", AttemptOutcome.CONGESTION),
    ("end:NOANSWER failure:0 hangup:1", AttemptOutcome.INVALID),
    ("end:NOANSWER failure:0 hangup:28", AttemptOutcome.INVALID),
    ("end:NOANSWER failure:0 hangup:22", AttemptOutcome.INVALID),
    ("end:NOANSWER failure:0 hangup:21", AttemptOutcome.DECLINED),
    ("end:NOANSWER failure:0 hangup:19", AttemptOutcome.NO_ANSWER),
    ("end:NOANSWER failure:0 hangup:18", AttemptOutcome.NO_ANSWER),
    ("end:NOANSWER failure:0 hangup:58", AttemptOutcome.FAILED),
    ("end:NOANSWER failure:0 hangup:127", AttemptOutcome.FAILED),
    ("ring failure:3 hangup:19", AttemptOutcome.NO_ANSWER),
]


@pytest.mark.parametrize(("words", "outcome"), FATES)
def test_what_an_attempt_comes_to_in_every_order(words: str, outcome: AttemptOutcome) -> None:
    for order in permutations(["taken", "begin", *words.split()]):
        if not in_order(order, ("ring", "hangup:19")):
            continue
        made = wire(*order, "wait")
        end = made.over()
        assert (end.outcome, end.answered) == (outcome, False), order
        assert made.kinds()[0] == "Placed", order
        assert made.kinds()[-1] == "Over", order
        assert made.kinds().count("Placed") == 1, order
        assert not made.lines.lines
        assert not made.lines.unserved


def test_an_answer_in_every_order() -> None:
    """Answered is told once, its end once and last, and never with an outcome: others know better."""
    for order in permutations(["taken", "begin", "ring", "end:ANSWER", "success", "ask:person", "hangup:16"]):
        made = wire(*order, "wait")
        kinds = made.kinds()
        asked_late = order.index("ask:person") > order.index("hangup:16")
        if asked_late:
            continue
        assert kinds.count("Answered") == kinds.count("Over") == kinds.count("Classified") == 1, order
        assert kinds[0] == "Placed", order
        assert kinds[-1] == "Over", order
        assert made.over().answered, order
        assert made.over().outcome is None
        assert made.over().cause == 16
        assert "Rang" not in kinds[kinds.index("Answered") :], order
        assert not made.lines.unserved


def test_the_end_waits_for_what_tells_whether_it_was_answered_but_not_for_ever() -> None:
    made = wire("begin", "ring", "hangup:16")
    assert made.kinds() == ["Placed", "Rang"]
    made.does("end:ANSWER")
    assert made.kinds() == ["Placed", "Rang", "Answered", "Over"]
    made = wire("begin", "ring", "hangup:16", "wait")
    assert made.over().outcome is None
    assert "nothing more" in made.over().detail
    made = wire("begin", "ring", "hangup:17", "wait")
    assert made.over().outcome is AttemptOutcome.BUSY


def test_a_failure_without_a_channel_is_told_once_none_can_come_any_more() -> None:
    made = wire("taken", "failure:0")
    assert made.kinds() == ["Placed"]
    made.does("wait")
    assert made.over().outcome is AttemptOutcome.WITHDRAWN
    assert "no such endpoint" in made.over().detail
    made = wire("taken", "failure:0", "begin", "wait", "wait")
    assert made.kinds() == ["Placed"]
    made.does("hangup:17")
    assert made.over().outcome is AttemptOutcome.BUSY


def test_a_trunk_that_rings_nobody_has_failed() -> None:
    assert wire("begin", "hangup:19", "failure:3").over().outcome is AttemptOutcome.FAILED


def test_taken_back() -> None:
    made = wire("begin", "ring", "back", "hangup:0", "end:NOANSWER", "failure:0")
    assert made.over().outcome is AttemptOutcome.NO_ANSWER
    assert "taken back" in made.over().detail
    for cause in ("0", "16"):
        made = wire("begin", "back", f"hangup:{cause}", "end:NOANSWER")
        assert made.over().outcome is AttemptOutcome.FAILED
        assert "taken back" in made.over().detail
    assert wire("begin", "hangup:16", "end:NOANSWER").over().outcome is None


def test_a_second_originate_of_a_living_line_changes_nothing() -> None:
    """Asterisk refuses it, and says so by the same id."""
    made = wire("begin", "ring", "failure:0", "wait", "end:ANSWER", "success", "failure:0", "wait")
    assert made.kinds() == ["Placed", "Rang", "Answered"]
    assert made.lines.open(A) is None
    made.does("hangup:16")
    assert made.over().answered


def test_refused_is_an_end_and_only_before_it_was_taken() -> None:
    made = wire()
    made.lines.refused(A, "no" * 200)
    assert made.kinds() == ["Refused"]
    assert len(made.told[0].detail) == 200
    made.does("begin", "hangup:17", "wait")
    assert made.kinds() == ["Refused"]
    made = wire("begin")
    made.lines.refused(A, "late")
    assert made.kinds() == ["Placed"]


def test_what_crosses_the_end_does_not_bring_a_line_back() -> None:
    """A question or a look that was on its way when the line hung up."""
    made = wire("begin", "end:ANSWER", "hangup:16")
    assert made.lines.asks(A, "PJSIP/carrier-1", made.now) is False
    made.look(channel(A), channel(B), first=False, margin_s=3.0)
    (seen,) = [one for one in made.told if isinstance(one, out.OutboundSeen)]
    assert [one.attempt for one in seen.attempts] == [B]
    assert made.lines.open(A) is None
    made.does("wait", "begin", "hangup:16", "wait")
    assert made.kinds() == ["Placed", "Answered", "Over"]
    assert not made.lines.unserved - {B}

    made = wire("begin", "hangup:16")
    assert made.lines.asks(A, "PJSIP/carrier-1", made.now) is False
    made.does("wait")
    assert made.over().answered


def test_what_asterisk_begins_late_is_told() -> None:
    """It was frozen: by its own clock and by ours it is late."""
    made = wire()
    made.now += 10.0
    made.does("begin", "ring")
    assert made.kinds() == ["Placed", "Began", "Rang"]


@pytest.mark.parametrize(("asterisk_s", "ours_s"), [(0.1, 10.0), (10.0, 0.1), (2.9, 2.9)])
def test_late_by_one_clock_alone_is_not_late(asterisk_s: float, ours_s: float) -> None:
    """It may be we who stood still, or the other clock that is ahead."""
    made = wire()
    dest = {"DestUniqueid": A, "Privilege": "call,all", "Timestamp": f"{made.now + asterisk_s:.6f}"}
    made.now += ours_s
    made.lines.feed({"Event": "DialBegin", **dest})
    assert made.kinds() == ["Placed"]


def test_what_asterisk_begins_after_a_look_did_not_find_it_is_told() -> None:
    made = wire()
    made.now += 8.0
    made.look()
    made.lines.looked()
    made.does("begin")
    assert made.kinds() == ["Over", "Began"]


def test_ends_are_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "_MAX_ENDED", 2)
    monkeypatch.setattr(lines_module, "MAX_LINES", 3)
    made = Wire()
    ids = [f"000007{index:08d}" for index in range(5)]
    for attempt in ids:
        assert made.lines.open(attempt) is not None
        made.does("begin", "end:BUSY", "hangup:17", attempt=attempt)
    assert [made.lines.open(attempt) is not None for attempt in ids] == [True, True, True, False, False]
    assert made.lines.open("00000799999999") is None


def test_unserved_until_an_agent_talks() -> None:
    made = wire("begin", "end:ANSWER")
    assert made.lines.unserved == {A}
    made.does("bridge")
    assert not made.lines.unserved
    assert made.lines.lines[A].served
    made.does("ask")
    assert not made.lines.unserved


def test_words_of_the_dialplan_come_late_as_well() -> None:
    made = wire("begin", "end:ANSWER", "hangup:16", "message:yes", "optout:9")
    assert made.kinds() == ["Placed", "Answered", "Over", "Message", "OptedOut"]
    assert made.told[-1].key == "9"
    assert made.told[-2].played
    # also of a life that we know nothing of, but not of channels that are none of ours
    made.does("optout:9", attempt=B)
    made.does("optout:9", "message:yes", attempt="1795281218.42")
    assert made.kinds(B) == ["OptedOut"]
    assert not made.kinds("1795281218.42")


def test_a_message_that_could_not_be_played_was_not() -> None:
    made = wire("begin", "end:ANSWER", "message:no:custom/nosuch", "message:yes:custom/nosuch", "message:yes")
    told = [one for one in made.told if isinstance(one, out.AttemptMessage)]
    assert [(one.played, one.missing) for one in told] == [
        (False, "custom/nosuch"),
        (False, "custom/nosuch"),
        (True, ""),
    ]


def test_a_fax_overrules() -> None:
    made = wire("begin", "end:ANSWER", "ask:machine", "ask:person", "fax", "fax", "hangup:16")
    verdicts = [one.verdict for one in made.told if isinstance(one, out.AttemptClassified)]
    assert verdicts == [out.Verdict.MACHINE, out.Verdict.FAX]
    assert made.over().outcome is AttemptOutcome.FAX
    assert made.over().answered


def test_made_up_events_do_nothing() -> None:
    made = wire()
    stamp = {"Timestamp": "1", "Privilege": "user,all"}
    made.lines.feed({"Event": "Hangup", "Uniqueid": A, "Cause": "17", **stamp})
    made.lines.feed({"Event": "Hangup", "Uniqueid": "nobody", "Cause": "17"})
    made.lines.feed({"Event": "Hangup", "Cause": "17"})
    made.lines.feed({})
    assert not made.told
    made.does("begin", "hangup:\u0661\u0667", "failure:0")
    assert made.over().cause is None


# -- looks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "state"),
    [
        (channel(A, "Ringing", "from-trunk"), out.SeenState.RINGING),
        (channel(A, "Ring", "from-trunk"), out.SeenState.RINGING),
        (channel(A, "Down", "from-trunk"), out.SeenState.DIALLING),
        (channel(A, "Up", "acd-out"), out.SeenState.ASKING),
        (channel(A, "Up", "from-trunk"), out.SeenState.ASKING),
        (channel(A, "Up", "acd-wait", Application="Wait"), out.SeenState.WAITING),
        (channel(A, "Up", "acd-offer", Application="Dial"), out.SeenState.WAITING),
        (channel(A, "Up", "acd-offer", Application="Dial", BridgeId="b"), out.SeenState.TALKING),
        (channel(A, "Up", "acd-message", Application="BackGround"), out.SeenState.MESSAGE),
        (channel(A, "Up", "acd-machine", Application="WaitForSilence"), out.SeenState.MACHINE),
        (channel(A, "Up", "survey", Application="Playback"), out.SeenState.ELSEWHERE),
    ],
)
def test_where_a_look_finds_a_line(shown: dict[str, str], state: out.SeenState) -> None:
    assert seen_attempt(shown, 1000.0) == out.SeenAttempt(A, state, 935.0)


def test_other_channels_are_none_of_ours() -> None:
    for uniqueid in ("1795281218.42", "0000070000000", "000007000000011", "", "pbx-1795281218.4"):
        assert seen_attempt(channel(uniqueid), 1000.0) is None


def test_lines_of_another_life_are_followed_from_the_look_on() -> None:
    made = Wire()
    made.look(channel(A, "Ringing", "x"), channel(B, context="acd-wait", Application="Wait"), {"Uniqueid": "1.2"})
    made.lines.looked()
    (seen,) = [one for one in made.told if isinstance(one, out.OutboundSeen)]
    assert [one.attempt for one in seen.attempts] == [A, B]
    assert seen.first
    assert made.kinds() == ["Rang"]
    assert made.kinds(B) == ["Answered"]
    assert made.lines.unserved == {B}
    made.does("end:BUSY", "hangup:17")
    made.does("hangup:16", attempt=B)
    assert made.over().outcome is AttemptOutcome.BUSY
    assert made.over(B).answered


def test_a_look_says_of_a_line_only_what_it_shows() -> None:
    """A channel is Down until it rings; since when one rings that was not heard to begin, nobody knows."""
    made = wire("begin")
    made.look(channel(A, "Down", "x"), first=False)
    assert made.kinds() == ["Placed"]
    made.does("hangup:19", "failure:3")
    assert made.over().outcome is AttemptOutcome.FAILED

    made = wire("begin", "ring")
    made.look(channel(A, "Ringing", "x"), first=False)
    made.lines.open(B)
    made.look(channel(A, "Ringing", "x"), channel(B, "Ringing", "x"), first=False)
    assert [(one.attempt, one.heard) for one in made.told if isinstance(one, out.AttemptRang)] == [
        (A, True),
        (B, False),
    ]


def test_of_what_may_have_been_missed_nothing_is_concluded() -> None:
    """No ringing, no channel heard of: there was no connection then."""
    made = Wire()
    made.look(channel(A, "Down", "x"))
    made.lines.looked()
    made.does("hangup:19", "failure:3")
    assert made.over().outcome is AttemptOutcome.NO_ANSWER

    made = wire("taken")
    made.look()
    made.does("failure:0", "wait")
    made.lines.looked()
    assert made.over().outcome is None


def test_who_talks_or_has_talked_has_no_deadline() -> None:
    made = Wire()
    made.look(channel(A, context="acd-offer", BridgeId="b"), channel(B, context="acd-hold"))
    assert not made.lines.unserved
    assert made.lines.lines[A].served
    assert made.lines.lines[B].served


def test_a_line_that_is_gone_at_a_look_is_over_by_what_asterisk_said_of_it() -> None:
    """At the first look, what Asterisk said before it is fed after it, and tells more than its absence."""
    made = wire("begin", "ring")
    made.lines.open(B)
    made.does("begin", attempt=B)
    made.now += 5
    made.look()
    assert "Over" not in made.kinds()
    made.does("end:BUSY", "hangup:17", attempt=B)
    made.lines.looked()
    assert made.over(B).outcome is AttemptOutcome.BUSY
    assert made.over().outcome is None
    assert "look" in made.over().detail


def test_later_looks_leave_alone_what_was_heard_of_lately() -> None:
    made = wire("begin")
    made.now += 2
    made.look(first=False, margin_s=3.0)
    assert made.kinds() == ["Placed"]
    made.now += 2
    made.look(first=False, margin_s=3.0)
    assert made.over().outcome is None
    assert not made.over().answered
