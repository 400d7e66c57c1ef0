"""The journal: the engine's inbox on disk, with what the floor made of it, so that ``acd replay`` can repeat a life.

Theory of operation. ``note`` runs on the event loop after every event and only appends to a queue; a thread writes JSON
(format: ``journal_lines``) twenty times a second, in short runs between which it lets go of the interpreter. The queue is
bounded. When it overflows, or the disk refuses, journalling stops for good in this life, with one alarm: a journal with
a gap repeats nothing. The calls go on. Nothing is forced to the disk: a killed process loses the last moments, a machine
that loses power a little more; what was written is whole up to there.

When a part is large enough the thread asks for a checkpoint, which ``note`` takes after the next event; the next part
begins with it. Parts beyond ``keep`` are deleted, the oldest first, but none that a later one needs to be replayed.

A journal holds callers' numbers and names: only the service's user may read it. It holds no secret of the configuration.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from acd.domain.commands import RaiseAlarm
from acd.domain.definition import FloorDefinition
from acd.domain.events import Event
from acd.domain.instant import Instant
from acd.engine.checkpoint import freeze, prepare
from acd.engine.journal_lines import JournalError
from acd.engine.journal_writer import JournalOptions, JournalWriter
from acd.floor import Floor, Step

__all__ = ["Journal", "JournalError", "JournalOptions"]

log = logging.getLogger(__name__)

WAITING_LIMIT = 20_000
"""Events that may wait to be written: a few seconds of the busiest floor."""
POLL_S = 0.05
RUN = 8
"""Events written before the thread lets others run, while few wait."""
PAUSE_S = 0.000_2


@dataclass(slots=True)
class _Checkpoint:
    """The place in the queue where a new part begins. ``state`` None: ``why`` it could not be taken."""

    definition: FloorDefinition
    state: bytes | None
    why: str = ""


_Noted = tuple[Event, Instant, Step, str | None]


class Journal:
    """Writes the journal of one life of ``floor``, which must be fresh.

    ``alarm`` is called from the journal's thread: let it be ``lambda a: loop.call_soon_threadsafe(engine.alarm, a)``.
    """

    def __init__(self, floor: Floor, options: JournalOptions, *, alarm: Callable[[RaiseAlarm], None]) -> None:
        self._floor = floor
        self._alarm = alarm
        self._writer = JournalWriter(options, epoch=floor.epoch, started_at=floor.started_at, began_at=time.time())
        self._queue: deque[_Noted | _Checkpoint] = deque()
        self._accepting = False
        self._overflowed = False
        self._checkpoint_wanted = False
        self._checkpoint_asked = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._state = "closed"
        self._detail = ""

    # -- on the event loop -------------------------------------------------------------------------------------------

    def note(self, event: Event, now: Instant, step: Step, failed: BaseException | None = None) -> None:
        """Take down one event, when it was handled, and what the floor gave (``failed``: what it raised meanwhile).

        Never blocks and never raises. Nothing of all this may be changed afterwards: it is written later.
        """
        if not self._accepting:
            return
        queue = self._queue
        if len(queue) >= WAITING_LIMIT:
            self._accepting, self._overflowed = False, True
            return
        queue.append((event, now, step, None if failed is None else type(failed).__name__))
        if self._checkpoint_wanted and failed is None:
            self._checkpoint_wanted = False
            queue.append(self._take_checkpoint())

    def _take_checkpoint(self) -> _Checkpoint:
        try:
            return _Checkpoint(self._floor.definition, freeze(self._floor))
        except JournalError as error:
            return _Checkpoint(self._floor.definition, None, str(error))

    def state(self) -> dict[str, Any]:
        """``{"state": "writing"|"stopped"|"closed", "file", "events", "waiting", "detail"}``."""
        return {
            "state": self._state,
            "file": str(self._writer.part.path),
            "events": self._writer.events,
            "waiting": len(self._queue),
            "detail": self._detail,
        }

    def begin_part(self) -> None:
        """Go on in a new part after the next event; ``state`` tells when it was begun."""
        self._checkpoint_asked = self._checkpoint_wanted = True

    # -- begin and end -----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin: directory, first part, thread. Blocks for the disk. Raises JournalError."""
        prepare(self._floor.definition)
        self._writer.open(self._floor.definition)
        self._state, self._accepting = "writing", True
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits, and end. Blocks: call it in a thread (``asyncio.to_thread``). Never raises."""
        self._accepting = False
        self._closing.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                log.error("the journal's last events could not be written within %g s", timeout_s)
            self._thread = None

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._overflowed:
                closing = self._closing.wait(POLL_S)
                self._drain()
                if closing and not self._overflowed and not self._queue:
                    self._writer.end("closed", "")
                    self._state = "closed"
                    return
            self._drain()
            self._stop(f"more than {WAITING_LIMIT} events waited to be written: the disk is too slow")
        except (OSError, JournalError) as error:
            self._stop(str(error))
        except Exception as error:
            # A defect of ours, such as an event that has no form in JSON: it costs the journal, nothing else
            log.exception("the journal's thread failed")
            self._stop(f"{type(error).__name__}: {error}")
        finally:
            self._writer.close()

    def _drain(self) -> None:
        queue = self._queue
        while queue:
            for _ in range(min(len(queue), RUN)):
                self._take_in(queue.popleft())
            if len(queue) < WAITING_LIMIT // 10:
                # The event loop waits up to 5 ms for a thread that computes on and on
                time.sleep(PAUSE_S)
        self._writer.flush()
        if self._writer.is_full and not self._checkpoint_asked:
            self._checkpoint_asked = self._checkpoint_wanted = True

    def _take_in(self, item: _Noted | _Checkpoint) -> None:
        if isinstance(item, _Checkpoint):
            if item.state is None:
                log.warning("the journal's next part needs the one before it to be replayed: %s", item.why)
            self._writer.rotate(item.definition, item.state)
            self._checkpoint_asked = False
        else:
            self._writer.add(*item)

    def _stop(self, why: str) -> None:
        """Journalling is over before its time: one alarm."""
        self._accepting = False
        self._state, self._detail = "stopped", why
        self._queue.clear()
        try:
            self._writer.end("stopped", why)
        except Exception as error:
            # Most likely for the reason it is stopped for
            log.info("the journal's end could not be written either: %s", error)
        alarm = RaiseAlarm("journal_stopped", f"nothing is journalled until the next start: {why}")
        try:
            self._alarm(alarm)
        except Exception:
            # Such as an event loop that has just ended
            log.exception("nobody could be told: %s", alarm.detail)
