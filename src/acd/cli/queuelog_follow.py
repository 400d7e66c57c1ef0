"""A queue_log that goes on: what happens is looked for, and written to a file, a table, or standard output."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import click

from acd.cli.progress import progress
from acd.domain.errors import StoreError

if TYPE_CHECKING:
    from acd.queuelog.export import Log
    from acd.queuelog.lines import Line

_AT_ONCE = 1000
_HOUR_S = 3600.0


class Target(Protocol):
    """What a log is written to."""

    @property
    def upto(self) -> float | None:
        """The time to go on from; None for a log that begins."""

    holds_back: bool
    """Whether what it could not write is kept, for `flush` to try again."""

    def begin(self, upto: float) -> None:
        """The log begins behind that time."""

    def append(self, lines: Iterable[Line], upto: float, now: float) -> int:
        """Write lines, and that all up to ``upto`` are there; how many were new."""

    def flush(self) -> int:
        """Write what was held back; how many lines."""


class Printed:
    """Standard output, which remembers nothing."""

    upto: float | None = None
    holds_back = False

    def begin(self, upto: float) -> None:
        """Whatever came before was not asked for."""

    def append(self, lines: Iterable[Line], upto: float, now: float) -> int:
        """Print them."""
        return print_lines(iter(lines))

    def flush(self) -> int:
        """Nothing is held back."""
        return 0

    def close(self) -> None:
        """Nothing is held."""


@dataclass(slots=True)
class Course:
    """How a log goes on. ``log_from`` makes one that begins at a time; ``since``: where a log without a past begins.
    ``interval``: seconds between looks; ``once``: end when all there is has been written."""

    log_from: Callable[[float], Log]
    since: float
    interval: float = 1.0
    once: bool = False
    written: int = 0
    """Lines so far."""

    def run(self, target: Target) -> None:
        """Write until interrupted, or once. Raises StoreError, RefusedError, SupersededError."""
        begin = target.upto
        if begin is None:
            target.begin(begin := self.since)
        log = self.log_from(begin)
        for lines, upto in counted(log.caught_up(), begin):
            # As long ago as this is, nothing comes late any more
            with _whole():
                self.written += target.append(lines, upto, upto)
        clock = time.monotonic() - max(log.upto, begin)
        if self.once:
            # To the second look an hour has gone in which nothing came: all there is counts as certain
            for settles in (0.0, _HOUR_S):
                lines = log.new(time.monotonic() - clock + settles)
                with _whole():
                    self.written += target.append(lines, log.upto, time.monotonic() - clock)
            return
        said = ""
        while True:
            said = _told(self._look(target, log, clock), said)
            time.sleep(self.interval)

    def _look(self, target: Target, log: Log, clock: float) -> StoreError | None:
        """One look; what is wrong if the database is away. It comes back, and the log goes on where it was."""
        try:
            with _whole():
                self.written += target.flush()
            lines = log.new(time.monotonic() - clock)
        except StoreError as error:
            return error
        try:
            with _whole():
                self.written += target.append(lines, log.upto, time.monotonic() - clock)
        except StoreError as error:
            if not target.holds_back:
                raise
            return error
        return None


@contextmanager
def _whole() -> Iterator[None]:
    """What is written is counted: an interruption amid that comes afterwards, a second one at once (a database may hang)."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    asked = 0

    def note(*_: object) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if asked:
            raise KeyboardInterrupt


def _told(error: StoreError | None, said: str) -> str:
    """Say that the database is away, or is back, once each."""
    text = "" if error is None else str(error)
    if text != said:
        click.echo(f"acd: {text or 'the database is back'}", err=True)
    return text


def counted(pieces: Iterable[tuple[list[Line], float]], begin: float) -> Iterator[tuple[list[Line], float]]:
    """The pieces, with a bar of the hours they tell of."""
    total = 0
    with progress("hours of records") as tell:
        for lines, upto in pieces:
            yield lines, upto
            if not total:
                # A log of all there is begins where the first piece does
                begin = max(begin, lines[0].at) if lines else begin
                total = max(int((time.time() - begin) / _HOUR_S), 1)
            tell(max(int((upto - begin) / _HOUR_S), 0), total)


def print_lines(lines: Iterator[Line]) -> int:
    """On standard output; how many."""
    count = 0
    try:
        while some := list(islice(lines, _AT_ONCE)):
            sys.stdout.write("".join(f"{line}\n" for line in some))
            sys.stdout.flush()
            count += len(some)
    except BrokenPipeError:
        # Nobody reads any more, and nobody is to hear of that
        sys.stderr.close()
        raise SystemExit(0) from None
    return count
