"""The thread beside the event loop: in order, with results and errors, and without waiting for what hangs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from acd.store.thread import WorkThread


async def test_work_is_done_in_order_and_in_one_thread() -> None:
    thread, seen = WorkThread("t"), list[tuple[int, str]]()
    futures = [thread.submit(lambda n: seen.append((n, threading.current_thread().name)), n) for n in range(50)]
    await asyncio.gather(*futures)
    assert seen == [(n, "t") for n in range(50)]
    assert await thread.within(5.0, lambda a, b: a + b, 1, 2) == 3
    thread.close()


async def test_errors_come_back() -> None:
    thread = WorkThread("t")
    with pytest.raises(ZeroDivisionError):
        await thread.within(5.0, lambda: 1 / 0)
    with pytest.raises(KeyError):
        await thread.submit({}.__getitem__, "x")
    assert await thread.within(5.0, lambda: "still there") == "still there"
    thread.close()


async def test_what_hangs_is_not_waited_for_and_nothing_overtakes_it() -> None:
    thread, go, done = WorkThread("t"), threading.Event(), list[str]()

    def hang() -> None:
        assert go.wait(30.0)
        done.append("late")

    assert not thread.late
    with pytest.raises(TimeoutError):
        await thread.within(0.01, hang)
    assert thread.late
    with pytest.raises(TimeoutError):
        await thread.within(5.0, done.append, "never begun")
    after = thread.submit(done.append, "after")
    go.set()
    await asyncio.wait_for(after, 10.0)
    assert done == ["late", "after"]
    assert not thread.late
    assert await thread.within(5.0, lambda: 1) == 1
    thread.close()


async def test_whoever_is_cancelled_leaves_the_work_to_its_end() -> None:
    thread, go, begun = WorkThread("t"), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        assert go.wait(30.0)

    task = asyncio.ensure_future(thread.within(30.0, hang))
    assert await asyncio.to_thread(begun.wait, 10.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert thread.late
    go.set()
    await thread.submit(lambda: None)
    assert not thread.late
    thread.close()


def test_a_thread_that_hangs_does_not_keep_the_process() -> None:
    script = """
import asyncio, threading
from acd.store.thread import WorkThread
async def main():
    try:
        await WorkThread("t").within(0.01, threading.Event().wait)
    except TimeoutError:
        print("left")
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30)
    assert (done.stdout, done.returncode, done.stderr) == ("left\n", 0, "")
