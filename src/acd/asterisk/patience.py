"""Patience: how long nothing may be heard before that means something. Only time counts in which we were awake: who was
frozen, or stood still for another reason, finds what was said meanwhile unread, and some event loops run timers before
they read (see also ``floor/silence.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

SECOND_LOOK_S: Final = 2.0
"""The last part of a long patience; of a short one it is the half. Time to read what came meanwhile."""

STEPS: Final = 4
"""It is spent in so many steps, each of which must be on time."""

LATE_S: Final = 0.25
"""A step that comes so late shows that we stood still, and the last part begins anew."""


class Patience:
    """Calls ``what`` with ``args`` after ``seconds``, or later if we stood still; never once it was cancelled."""

    __slots__ = ("_args", "_due", "_left", "_loop", "_step_s", "_timer", "_what")

    def __init__(self, seconds: float, what: Callable[..., None], *args: Any) -> None:
        last_s = min(SECOND_LOOK_S, seconds / 2)
        self._loop = asyncio.get_running_loop()
        self._what = what
        self._args = args
        self._step_s = last_s / STEPS
        self._left: int | None = None
        self._due = 0.0
        self._timer = self._loop.call_later(seconds - last_s, self._look)

    def cancel(self) -> None:
        """It was heard, or nobody waits any more. Twice does no harm."""
        self._timer.cancel()

    def cancelled(self) -> bool:
        """Whether it was."""
        return self._timer.cancelled()

    def _look(self) -> None:
        now = self._loop.time()
        # The first look says nothing: nothing has been read yet, perhaps, since before it was due
        late = self._left is None or now - self._due > LATE_S
        self._left = STEPS if late or self._left is None else self._left - 1
        if self._left:
            self._due = now + self._step_s
            self._timer = self._loop.call_later(self._step_s, self._look)
        else:
            self._what(*self._args)
