"""An interruption amid a commit comes when it is counted, whatever came of it; a second one at once."""

from __future__ import annotations

import signal
import threading

import pytest

from acd.cli.queuelog_follow import _whole
from acd.domain.errors import StoreError


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_what_is_written_is_counted_before_it_ends() -> None:
    counted = 0

    def write() -> None:
        nonlocal counted
        with _whole():
            interrupt()
            counted += 3

    with pytest.raises(KeyboardInterrupt):
        write()
    assert counted == 3
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_a_database_that_is_away_does_not_swallow_it() -> None:
    def fail() -> None:
        with _whole():
            interrupt()
            raise StoreError("away")

    with pytest.raises(KeyboardInterrupt):
        fail()


def test_a_second_one_does_not_wait() -> None:
    reached = []

    def hang() -> None:
        with _whole():
            interrupt()
            reached.append("once")
            interrupt()
            reached.append("twice")

    with pytest.raises(KeyboardInterrupt):
        hang()
    assert reached == ["once"]


def test_without_an_interruption_nothing_happens() -> None:
    with _whole():
        pass
    done: list[int] = []

    def elsewhere() -> None:
        with _whole():
            done.append(1)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert done == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
