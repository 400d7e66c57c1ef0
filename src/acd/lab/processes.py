"""Processes of the lab: started apart from our terminal, found again by a later command, never left behind.

A process is known by its id and its start time, so that an id the kernel has given to somebody else is never signalled.
What is run, and what its output means, belongs to the modules that run it.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from acd.domain.errors import LabError
from acd.domain.values import valueclass

# The kernel sends the death signal when the *thread* that forked ends. This one lives as long as the process does, so
# a child may be started from any thread (asyncio.to_thread's, a test's) without dying with it.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lab-spawner")
_children: dict[int, subprocess.Popen[bytes]] = {}


@valueclass(frozen=True, slots=True)
class Account:
    """The user a process runs as."""

    uid: int
    gid: int


@valueclass(frozen=True, slots=True)
class Process:
    """One process of this machine. ``started_ticks`` is its start time in clock ticks since boot (field 22 of stat)."""

    pid: int
    started_ticks: int

    @classmethod
    def spawn(
        cls,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        account: Account | None = None,
        die_with_parent: bool = False,
    ) -> Process:
        """Start ``command`` in a session of its own, its output appended to ``log``.

        With ``die_with_parent`` the kernel kills it when this process ends, however it ends.
        """
        line = list(command)
        if die_with_parent:
            setpriv = shutil.which("setpriv")
            if setpriv is None:
                raise LabError("setpriv is not on this machine; install the package util-linux")
            line = [setpriv, "--pdeathsig", "KILL", "--", *line]
        return _spawner.submit(cls._spawn, line, log, env, cwd, account).result()

    @classmethod
    def _spawn(
        cls,
        line: list[str],
        log: Path,
        env: Mapping[str, str] | None,
        cwd: Path | None,
        account: Account | None,
    ) -> Process:
        try:
            with log.open("ab") as output:
                child = subprocess.Popen(
                    line,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=dict(env) if env is not None else None,
                    cwd=cwd,
                    start_new_session=True,
                    user=account.uid if account else None,
                    group=account.gid if account else None,
                    extra_groups=[] if account else None,
                )
        except OSError as error:
            raise LabError(f"cannot start {line[0]}: {error}") from error
        _children[child.pid] = child
        ticks = _started_ticks(child.pid)
        return cls(child.pid, ticks if ticks is not None else -1)

    @classmethod
    def recall(cls, path: Path) -> Process | None:
        """The process an earlier `remember` wrote down, if it still runs."""
        try:
            pid, ticks = (int(word) for word in path.read_text().split())
        except (OSError, ValueError):
            return None
        process = cls(pid, ticks)
        return process if process.running else None

    def remember(self, path: Path) -> None:
        """Write the process down for a later `recall`."""
        path.write_text(f"{self.pid} {self.started_ticks}\n")

    @property
    def running(self) -> bool:
        """Whether it lives; a stopped (frozen) process does, a zombie does not."""
        child = _children.get(self.pid)
        if child is not None and child.poll() is not None:
            _children.pop(self.pid, None)
        return _started_ticks(self.pid) == self.started_ticks

    @property
    def cpu_s(self) -> float:
        """Processor time it has used so far, user and system, in seconds; 0 when it is gone."""
        fields = _stat(self.pid)
        if fields is None:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process is gone."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def children(self) -> list[Process]:
        """The processes it started itself and that still run."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                fields = _stat(int(entry.name))
                if fields is not None and int(fields[1]) == self.pid and fields[0] not in "ZX":
                    found.append(Process(int(entry.name), int(fields[19])))
        return found

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; False when it still runs after ``timeout_s``."""
        if not self.running:
            return True
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll(max(timeout_s, 0.0) * 1000)
        finally:
            os.close(descriptor)
        return not self.running

    def end(self, number: signal.Signals, timeout_s: float) -> None:
        """Send ``number``, then SIGKILL to whatever still runs after ``timeout_s``; a frozen process is woken first."""
        self.send(signal.SIGCONT)
        self.send(number)
        if not self.wait(timeout_s):
            self.send(signal.SIGKILL)
            if not self.wait(10.0):
                raise LabError(f"process {self.pid} does not end even on SIGKILL; the machine may be out of order")


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third (state) on, or None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _started_ticks(pid: int) -> int | None:
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])
