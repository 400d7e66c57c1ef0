"""The circuit breaker for phones that cannot be reached: one alarm for a dead address, instead of one agent after another.

Phones are in groups: those behind one host, or one trunk. Which group a phone is in is the caller's business, and so are
agents, timers and offers. Times are monotonic seconds, given as arguments.

Theory of operation. A group is **closed** (phones are offered calls) until offers to several different phones of it have
failed within a short time, without one being reached in between: then it is **open**, and ``blocks`` its phones. After
``probe_s`` it ``wants_probe``: one phone, chosen by the caller, may be offered a call again. If that phone is reached the
group is closed; if not, it stays open and waits twice as long, up to a cap. Any phone of the group that is reached in
spite of all (an offer that was under way) closes it too. One dead phone opens nothing: it is passed over by itself.

An offer that rings phones of several groups at once says of none of them which it was; tell nothing of it here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from acd.domain.definition import BreakerDefinition
from acd.domain.errors import MisuseError
from acd.domain.states import OfferOutcome
from acd.domain.values import valueclass

PROBE_CAP_S = 300.0
"""A dead group is tried again at least so often (or every ``probe_s``, if that is longer)."""
MIN_PHONES = 2
GROUPS_LIMIT = 10_000
"""Closed groups with failures that are remembered; of more, those known longest are forgotten."""
SHOWN = 5
"""Phones named in an alarm."""


class Evidence(StrEnum):
    """What the end of an offer says of the way to the phone."""

    REACHED = "reached"
    FAILED = "failed"
    NONE = "none"


_REACHED = frozenset({OfferOutcome.ANSWERED, OfferOutcome.BUSY, OfferOutcome.DECLINED})
_FAILED = frozenset({OfferOutcome.UNREACHABLE, OfferOutcome.CONGESTION, OfferOutcome.NO_ANSWER})


def evidence(outcome: OfferOutcome, *, rang: bool) -> Evidence:
    """What ``outcome`` says, the phone having been known to ring or not.

    A SIP request into the void ends as "no answer" by the ring timeout before SIP itself gives up (32 s), so no answer
    counts as failed unless the phone rang.
    """
    if rang or outcome in _REACHED:
        return Evidence.REACHED
    return Evidence.FAILED if outcome in _FAILED else Evidence.NONE


@valueclass(frozen=True, slots=True)
class Opened:
    """Offers to ``group`` stop; it wants a probe at ``probe_at``. ``text`` is the alarm."""

    group: str
    probe_at: float
    text: str


@valueclass(frozen=True, slots=True)
class StillOpen:
    """The probe failed; the next is wanted at ``probe_at``."""

    group: str
    probe_at: float
    text: str


@valueclass(frozen=True, slots=True)
class Closed:
    """Offers to ``group`` go on. It was open for ``open_s``."""

    group: str
    open_s: float
    text: str


@dataclass(slots=True)
class _Group:
    """``failures``: when each phone failed last, in that order. ``delay_s`` 0: closed."""

    failures: dict[str, float] = field(default_factory=dict)
    delay_s: float = 0.0
    opened_at: float = 0.0
    probe_at: float = 0.0
    probe: str | None = None
    failed_probes: int = 0


class Breaker:
    """All groups of a floor."""

    def __init__(self, definition: BreakerDefinition) -> None:
        self._definition = definition
        self._cap_s = max(PROBE_CAP_S, definition.probe_s)
        self._groups: dict[str, _Group] = {}
        self._open: dict[str, _Group] = {}

    # -- what holds now ----------------------------------------------------------------------------------------------

    def blocks(self, group: str, phone: str) -> bool:
        """Whether ``phone`` may not be offered a call now."""
        state = self._open.get(group)
        return state is not None and state.probe != phone

    def wants_probe(self, group: str, now: float) -> bool:
        """Whether one phone of ``group`` should be tried (``begin_probe``): until somebody is there who can."""
        state = self._open.get(group)
        return state is not None and state.probe is None and now >= state.probe_at

    def why(self, group: str) -> str:
        """Why a blocked phone is passed over. The same words for all of a group and as long as it is open."""
        return f"behind {group}, which cannot be reached"

    def open_groups(self, now: float) -> Iterator[dict[str, Any]]:
        """``{"group", "open_s", "failed_probes", "probe" (the phone being tried or None), "next_probe_s" (or None)}``."""
        for name, state in self._open.items():
            yield {
                "group": name,
                "open_s": round(max(0.0, now - state.opened_at), 3),
                "failed_probes": state.failed_probes,
                "probe": state.probe,
                "next_probe_s": None if state.probe is not None else round(max(0.0, state.probe_at - now), 3),
            }

    # -- what happens ------------------------------------------------------------------------------------------------

    def failed(self, group: str, phone: str, now: float, *, phones: int | None = None) -> Opened | StillOpen | None:
        """An offer could not reach ``phone``. ``phones``: how many there are in the group, if known: where they are fewer
        than it usually takes, all of them (but two at least) open it."""
        state = self._groups.get(group)
        if state is None:
            self._make_room()
            state = self._groups[group] = _Group()
        if state.delay_s:
            return self._probe_failed(group, state, now) if state.probe == phone else None
        # Once more, so that the order is that of the last failures
        state.failures.pop(phone, None)
        state.failures[phone] = now
        for other, at in list(state.failures.items()):
            if at >= now - self._definition.within_s:
                break
            del state.failures[other]
        needed = self._definition.failures if phones is None else min(self._definition.failures, phones)
        return self._opened(group, state, now) if len(state.failures) >= max(MIN_PHONES, needed) else None

    def reached(self, group: str, phone: str, now: float) -> Closed | None:
        """``phone`` rang, answered or was busy: the way to it is open, and what failed before is forgotten."""
        state = self._groups.pop(group, None)
        if state is None or self._open.pop(group, None) is None:
            return None
        open_s = max(0.0, now - state.opened_at)
        text = f"{phone} behind {group} was reached after {open_s:.0f} s: phones there are offered calls again"
        return Closed(group, open_s, text)

    def begin_probe(self, group: str, phone: str, now: float) -> None:
        """Let ``phone`` be offered the next call. Raises MisuseError unless the group wants a probe."""
        if not self.wants_probe(group, now):
            raise MisuseError(f"breaker: {group} wants no probe, so {phone} cannot be one")
        self._open[group].probe = phone

    def withdraw_probe(self, group: str, phone: str) -> None:
        """``phone`` was to be tried and is not (its agent left), or its offer ended without evidence: another may be."""
        state = self._open.get(group)
        if state is not None and state.probe == phone:
            state.probe = None

    # -- inside ------------------------------------------------------------------------------------------------------

    def _opened(self, group: str, state: _Group, now: float) -> Opened:
        self._open[group] = state
        state.opened_at, state.delay_s, state.failed_probes = now, self._definition.probe_s, 0
        state.probe, state.probe_at = None, now + state.delay_s
        phones = ", ".join(list(state.failures)[-SHOWN:]) + (", ..." if len(state.failures) > SHOWN else "")
        state.failures.clear()
        text = (
            f"no phone behind {group} can be reached (tried: {phones}): none is offered calls until a try succeeds, the "
            f"first in {state.delay_s:g} s; look at the network, the registrations or the trunk"
        )
        return Opened(group, state.probe_at, text)

    def _probe_failed(self, group: str, state: _Group, now: float) -> StillOpen:
        phone, state.probe = state.probe, None
        state.failed_probes += 1
        state.delay_s = min(self._cap_s, 2 * state.delay_s)
        state.probe_at = now + state.delay_s
        text = f"{phone} behind {group} cannot be reached either; the next try is in {state.delay_s:g} s"
        return StillOpen(group, state.probe_at, text)

    def _make_room(self) -> None:
        if len(self._groups) - len(self._open) < GROUPS_LIMIT:
            return
        del self._groups[next(name for name in self._groups if name not in self._open)]
