"""A thread for work that blocks, which the event loop neither waits for nor joins when it hangs.

Much like a ThreadPoolExecutor of one, whose hop costs three times as much processor time: with many small appends to the
spill that is as much as making them. And where it waits for its threads at the end of the process, this one is left.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

_T = TypeVar("_T")


class _Job:
    __slots__ = ("error", "future", "loop", "result", "running", "work")

    def __init__(self, work: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.work, self.loop = work, loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.running = True
        self.result: Any = None
        self.error: BaseException | None = None

    def finish(self) -> None:
        """In the loop's thread."""
        self.running = False
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)

    def expire(self) -> None:
        if not self.future.done():
            self.future.set_exception(TimeoutError())


class WorkThread:
    """Work is done in the order in which it is given. The thread begins with the first of it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._late: _Job | None = None

    def submit(self, work: Callable[..., _T], *arguments: Any) -> asyncio.Future[_T]:
        """Have ``work(*arguments)`` done. An error that nobody fetches is reported by the event loop."""
        return self._put(work, arguments).future

    async def within(self, seconds: float, work: Callable[..., _T], *arguments: Any) -> _T:
        """What ``work(*arguments)`` returns. Raises TimeoutError if it takes longer, and at once while such work is
        not done: it goes on, and nothing else is begun before it has ended."""
        if self.late:
            raise TimeoutError
        job = self._put(work, arguments)
        timer = job.loop.call_later(seconds, job.expire)
        try:
            result: _T = await job.future
            return result
        finally:
            timer.cancel()
            if job.running:
                self._late = job

    @property
    def late(self) -> bool:
        """Work that took too long still goes on."""
        if self._late is not None and not self._late.running:
            self._late = None
        return self._late is not None

    def close(self) -> None:
        """End, after what was given."""
        if self._thread is not None:
            self._jobs.put(None)

    def _put(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> _Job:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        job = _Job(lambda: work(*arguments), asyncio.get_running_loop())
        self._jobs.put(job)
        return job

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.result = job.work()
            except BaseException as error:
                job.error = error
            try:
                job.loop.call_soon_threadsafe(job.finish)
            except RuntimeError:
                # The loop has ended; nobody waits any more.
                return
            del job
