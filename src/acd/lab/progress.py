"""One line of progress for people: rewritten in place on a terminal, sparse plain lines elsewhere.

Standard library only, because the bootstrap shows progress before anything is installed.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

#: What long work calls as it goes on: a short text and the share done (0..1), or None where the share is unknown.
Progress = Callable[[str, float | None], None]

_PLAIN_INTERVAL_S = 5.0
_REDRAW_INTERVAL_S = 0.05
_BAR_WIDTH = 24


def no_progress(text: str, share: float | None) -> None:
    """For callers that want silence."""


class ProgressLine:
    """Draws the progress on a stream; call it like a `Progress`, then ``done()`` with the closing words.

    On a terminal the line is rewritten. Otherwise (a log of a build) a line appears when the step changes, and at most
    every five seconds while one step goes on.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._clock = clock
        self._tty = self._stream.isatty()
        self._step = ""
        self._shown_at = float("-inf")
        self._open = False

    def __call__(self, text: str, share: float | None) -> None:
        step = text.partition(":")[0]
        changed, self._step = step != self._step, step
        elapsed = self._clock() - self._shown_at
        if not changed and elapsed < (_REDRAW_INTERVAL_S if self._tty else _PLAIN_INTERVAL_S):
            return
        self._shown_at = self._clock()
        if self._tty:
            bar = ""
            if share is not None:
                filled = round(min(max(share, 0.0), 1.0) * _BAR_WIDTH)
                bar = f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {share:4.0%} "
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\x1b[K{(bar + text)[:width]}")
            self._open = True
        else:
            percent = f" ({share:.0%})" if share else ""
            self._stream.write(f"{text}{percent}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away, so that other text starts at the margin."""
        if self._open:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._open = False
        self._step, self._shown_at = "", float("-inf")

    def done(self, text: str) -> None:
        """Replace the line with a lasting one."""
        self.clear()
        self._stream.write(text + "\n")
        self._stream.flush()
