"""The processes of an import end with the one that began them, even if that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys

PARENT = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from acd.lists.columns import columns_of
from acd.lists.prepare import Terms
from acd.lists.workers import ready

if __name__ == "__main__":
    terms = Terms(columns_of(["number"], (), named=True))
    pool = ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=ready, initargs=(terms,))
    some = [pool.submit(time.sleep, 0.1) for _ in range(4)]
    while not all(one.done() for one in some):
        time.sleep(0.01)
    print(len(pool._processes), flush=True)
    time.sleep(600)
"""


def test_workers_end_with_an_import_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "2\n"
        parent.send_signal(signal.SIGKILL)
        # They have it open as well: it ends when the last of them has
        assert parent.communicate(timeout=60) == ("", None)
        assert parent.returncode == -signal.SIGKILL
