"""How many events a second the protocol takes in on one core, from recorded bytes: a figure for the benchmark.

Measuring only. ``python -m acd.asterisk.ami.parse_rate FILE`` prints it for a recording of a manager session.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

from acd.asterisk.ami.counters import AmiCounters
from acd.asterisk.ami.messages import Message
from acd.asterisk.ami.protocol import AmiProtocol
from acd.asterisk.ami.quietlog import QuietLog
from acd.domain.values import valueclass

_SEGMENT_BYTES = 64 * 1024
_MIN_ROUND_BYTES = 4 * 1024 * 1024


@valueclass(frozen=True, slots=True)
class ParseRate:
    """``events_per_s`` counts events handed on and passed over; ``bytes_per_event`` is their mean size on the wire."""

    events_per_s: float
    megabytes_per_s: float
    events: int
    handed_on: int
    bytes_per_event: float
    cpu_s: float


async def measure_parse_rate(
    recording: bytes, *, wanted: Collection[str] | None = None, min_cpu_s: float = 1.0
) -> ParseRate:
    """Feed ``recording`` again and again, in segments of 64 KiB, for at least ``min_cpu_s`` seconds of CPU.

    ``recording`` is what a manager session received, greeting included. ``wanted`` are the events to hand on (None:
    all), to a handler that only counts them. The loop does nothing else meanwhile: not for a running service.
    """
    greeting, _, body = recording.partition(b"\r\n")
    wire = body * max(1, _MIN_ROUND_BYTES // max(1, len(body)))
    segments = [wire[start : start + _SEGMENT_BYTES] for start in range(0, len(wire), _SEGMENT_BYTES)]
    handed_on = 0

    def on_event(_name: str, _message: Message) -> None:
        nonlocal handed_on
        handed_on += 1

    counters = AmiCounters()
    protocol = AmiProtocol(
        on_event=on_event,
        on_response=lambda _message: None,
        on_lost=lambda _reason: None,
        counters=counters,
        quiet=QuietLog(logging.getLogger(__name__)),
        wanted=None if wanted is None else frozenset(wanted),
        at_once=sys.maxsize,
    )
    protocol.data_received(greeting + b"\r\n")
    rounds, began = 0, time.process_time()
    while (cpu_s := time.process_time() - began) < min_cpu_s or not rounds:
        for segment in segments:
            protocol.data_received(segment)
        rounds += 1
    protocol.abort("measured")
    events = counters.events + counters.unwanted
    received = rounds * len(wire)
    return ParseRate(events / cpu_s, received / cpu_s / 1e6, events, handed_on, received / max(events, 1), cpu_s)


def main() -> None:
    """Print the rate for the recording named on the command line: all events handed on, then a call centre's few."""
    recording = Path(sys.argv[1]).read_bytes()
    for wanted in (None, CALL_CENTRE_EVENTS):
        rate = asyncio.run(measure_parse_rate(recording, wanted=wanted))
        sys.stdout.write(json.dumps({"wanted": "all" if wanted is None else len(wanted)} | asdict(rate)) + "\n")


CALL_CENTRE_EVENTS = frozenset(
    (
        *("Newchannel", "DialBegin", "DialState", "DialEnd", "BridgeEnter", "BridgeLeave", "Hangup", "UserEvent"),
        *("OriginateResponse", "DTMFEnd", "DeviceStateChange", "ContactStatus", "BlindTransfer", "AttendedTransfer"),
        *("Hold", "Unhold", "FullyBooted", "Shutdown"),
    )
)
"""What an event session of a call centre hands on; the same names as in the recommended eventfilter."""


if __name__ == "__main__":
    main()
