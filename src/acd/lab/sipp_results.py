"""What SIPp wrote while it ran, read back: statistics, the log of calls, errors.

A *lost* call is a dialog that ended otherwise than its scenario says, or had not ended when SIPp did. Reading only;
running SIPp is `sipp`'s.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path

from acd.domain.errors import LabError
from acd.domain.values import valueclass

MAX_ERROR_LINES = 50
"""Error lines kept in a result; SIPp's own file holds the rest."""
_TAIL_BYTES = 65_536
_HARMLESS = ("Dead call ", "Discarding message ")
"""How SIPp begins what it says of messages that come after the end of their call."""
_COUNTERS = (
    "placed",
    "offered",
    "answered",
    "refused",
    "cancelled",
    "gave_up",
    "hung_up",
    "far_end_hung_up",
    "transferred",
    "ignored",
    "qualified",
    "registered",
    "stray",
)
_FAILURES = {
    "FailedCannotSendMessage": "cannot send",
    "FailedMaxUDPRetrans": "no answer to retransmissions",
    "FailedUnexpectedMessage": "unexpected message",
    "FailedCallRejected": "rejected",
    "FailedRegexpDoesntMatch": "malformed message",
    "FailedRegexpHdrNotFound": "malformed message",
    "FailedOutboundCongestion": "congestion",
    "FailedTimeoutOnRecv": "message did not come",
    "FailedTimeoutOnSend": "cannot send",
    "FailedTestDoesntMatch": "limit reached or answered instead of refused",
}


@valueclass(frozen=True, slots=True)
class CallEvent:
    """One line of a call log: ``at`` in seconds since 1970 (microsecond steps), ``call`` counts from 1 within its SIPp.

    ``kind`` is placed, offered, answered, refused, cancelled, gave_up, hung_up, far_end_hung_up, transferred,
    registered or ended; ``who`` is the DID called or the phone's name.
    """

    at: float
    kind: str
    call: int
    who: str
    detail: str = ""


@valueclass(frozen=True, slots=True)
class SippCounts:
    """Totals so far of one SIPp, or of several added up. ``outcomes`` counts what happened, by the words above."""

    created: int = 0
    current: int = 0
    successful: int = 0
    failed: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    retransmissions: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """Dialogs: everything created but OPTIONS and requests outside any dialog."""
        return self.created - self.outcomes.get("qualified", 0) - self.outcomes.get("stray", 0)

    def __add__(self, other: SippCounts) -> SippCounts:
        return SippCounts(
            self.created + other.created,
            self.current + other.current,
            self.successful + other.successful,
            self.failed + other.failed,
            dict(Counter(self.failures) + Counter(other.failures)),
            self.retransmissions + other.retransmissions,
            dict(Counter(self.outcomes) + Counter(other.outcomes)),
        )


@valueclass(frozen=True, slots=True)
class SippResult:
    """What came of one SIPp, or of several together, after their end.

    ``answer_ms`` holds the time from each caller's INVITE to its 200 OK in milliseconds, as SIPp's own clock measured it
    (microseconds), in the order of the answers. ``events`` is the log of all calls, its stamps from the wall clock.
    ``errors`` holds the first lines of what SIPp complained about.
    """

    counts: SippCounts = field(default_factory=SippCounts)
    answer_ms: Sequence[float] = ()
    errors: Sequence[str] = ()
    events: Sequence[CallEvent] = ()

    @property
    def started(self) -> int:
        """Dialogs begun."""
        return self.counts.calls

    @property
    def lost(self) -> int:
        """Dialogs that ended otherwise than their scenario says, or not at all."""
        return self.counts.created - self.counts.successful

    def outcome(self, kind: str) -> int:
        """How often ``kind`` (`CallEvent`) happened."""
        if kind not in _COUNTERS:
            raise ValueError(f"no outcome is called {kind!r}; there are {', '.join(_COUNTERS)}")
        return self.counts.outcomes.get(kind, 0)

    def percentile_ms(self, percent: float) -> float | None:
        """The answer time that ``percent`` of the answered calls did not exceed (nearest rank); None without any."""
        return percentile(self.answer_ms, percent)

    def __add__(self, other: SippResult) -> SippResult:
        return SippResult(
            self.counts + other.counts,
            [*self.answer_ms, *other.answer_ms],
            [*self.errors, *other.errors][:MAX_ERROR_LINES],
            sorted((*self.events, *other.events), key=lambda event: event.at),
        )

    def as_json(self) -> dict[str, object]:
        """Plain values for ``--json`` and summaries; times in ms."""
        return {
            "started": self.started,
            "successful": self.counts.successful - self.outcome("qualified") - self.outcome("stray"),
            "lost": self.lost,
            "failures": dict(self.counts.failures),
            "outcomes": dict(self.counts.outcomes),
            "retransmissions": self.counts.retransmissions,
            "answer_ms": {
                f"p{percent}": None if (value := self.percentile_ms(percent)) is None else round(value, 3)
                for percent in (50, 90, 99, 100)
            },
            "errors": list(self.errors),
        }


def percentile(values: Iterable[float], percent: float) -> float | None:
    """Nearest-rank percentile; None for no values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(math.ceil(percent / 100 * len(ordered)), 1) - 1]


def read_counts(path: Path) -> SippCounts:
    """The last complete line of a ``-trace_stat`` file; all zero when SIPp has not written one yet.

    Only the header and the file's end are read, so a live table may ask as often as it likes.
    """
    try:
        with path.open("rb") as file:
            header = file.readline()
            start = file.tell()
            end = file.seek(0, 2)
            file.seek(max(start, end - _TAIL_BYTES))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return SippCounts()
    # The text after the last line feed is a line still being written.
    complete = [line for line in lines[:-1] if line]
    if not header.endswith(b"\n") or not complete:
        return SippCounts()
    names = header.decode("ascii", "replace").strip().split(";")
    row = dict(zip(names, complete[-1].decode("ascii", "replace").split(";"), strict=False))
    try:
        return _counts(row)
    except (KeyError, ValueError) as error:
        raise LabError(f"{path} is not a statistics file of SIPp: {error!r}; is sipp of the right version?") from error


def _counts(row: Mapping[str, str]) -> SippCounts:
    failures: Counter[str] = Counter()
    for column, kind in _FAILURES.items():
        failures[kind] += int(row[f"{column}(C)"])
    failed = int(row["FailedCall(C)"])
    # SIPp gives calls it breaks off at its own end no kind.
    failures["not ended"] += max(failed - failures.total(), 0)
    return SippCounts(
        created=int(row["TotalCallCreated"]),
        current=int(row["CurrentCall"]),
        successful=int(row["SuccessfulCall(C)"]),
        failed=failed,
        failures={kind: count for kind, count in failures.items() if count},
        retransmissions=int(row["Retransmissions(C)"]),
        outcomes={name: count for name in _COUNTERS if (count := int(row.get(f"{name}(C)", "0")))},
    )


def read_events(path: Path) -> list[CallEvent]:
    """The call log of a scenario of `sipp_callers` and `sipp_phones`, in order; empty without one.

    A last line still being written is left out.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    events = []
    for line in text.split("\n")[:-1]:
        stamp, *fields = line.split("|")
        if len(fields) == 4:
            # SIPp's own time stamp: date, time and seconds since 1970, separated by tabs.
            events.append(CallEvent(float(stamp.split("\t")[-1]), fields[0], int(fields[1]), fields[2], fields[3]))
    return events


def read_answer_times(path: Path) -> list[float]:
    """The response times of a ``-trace_rtt`` file in ms, in the order of the answers; empty without one."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").split("\n")[1:-1]
    except FileNotFoundError:
        return []
    return [float(line.split(";")[1]) for line in lines]


def read_errors(path: Path) -> list[str]:
    """The first lines of SIPp's error file that begin a message, at most `MAX_ERROR_LINES`."""
    errors: list[str] = []
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                # "2026-11-21<tab>18:00:00.123456<tab>1795...: message"; the lines of a quoted SIP message follow it.
                stamp, tabs, rest = line.rstrip().rpartition("\t")
                text = rest.partition(": ")[2] or rest
                if tabs and stamp[:2].isdigit() and not text.startswith(_HARMLESS):
                    errors.append(text)
                if len(errors) == MAX_ERROR_LINES:
                    break
    except FileNotFoundError:
        pass
    return errors
