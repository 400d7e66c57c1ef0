"""One SIPp process: started on a scenario, watched, stopped, its result read.

Signalling only: the session descriptions name a real socket of SIPp's, so that nobody is told the port is closed, but
no audio is sent. Scenarios come from `sipp_callers` and `sipp_phones`, what SIPp writes is read by `sipp_results`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from acd.domain.errors import LabError
from acd.domain.values import valueclass
from acd.lab.processes import Process
from acd.lab.sipp_results import (
    SippCounts,
    SippResult,
    read_answer_times,
    read_counts,
    read_errors,
    read_events,
)

OLDEST = (3, 8, 0)
"""The first SIPp whose clock does not move in steps of 4 ms; the scenarios need 3.7.5."""
HOST = "127.0.0.1"
_START_S = 10.0
_LOG_BYTES = 50_000_000
# SIPp asks for 64 KiB, which is some fifty messages; a busy machine lets more than that pile up. The kernel has a limit
# of its own (net.core.rmem_max) and takes the lower.
_SOCKET_BYTES = 2_000_000
_STATISTICS_MS = 250
# SIPp reserves six characters for its process id where it names the file of response times, and ids have up to seven.
# With a name as short as this the rest fits into what the allocator rounds up to.
_SCENARIO = "call.xml"
_ANSWER_TIMES = "call_{pid}_rtt.csv"
_VERSION = re.compile(r"SIPp v?(\d+)\.(\d+)(?:\.(\d+))?")


@valueclass(frozen=True, slots=True)
class Load:
    """How many calls a calling SIPp places: ``count`` in all, ``rate`` a second, at most ``at_once`` at a time."""

    count: int
    rate: float
    at_once: int | None = None

    def __post_init__(self) -> None:
        if self.count < 1 or self.rate <= 0 or (self.at_once is not None and self.at_once < 1):
            raise LabError(f"calls need a count, a rate and a limit above 0, not {self}")


@functools.cache
def check_version(command: tuple[str, ...], environment: tuple[tuple[str, str], ...] | None = None) -> str:
    """The version of the SIPp that ``command`` starts; LabError when it is none or too old."""
    env = None if environment is None else dict(environment)
    try:
        answer = subprocess.run([*command, "-v"], capture_output=True, text=True, timeout=30, check=False, env=env)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"cannot run SIPp ({' '.join(command)}): {error}; `acd lab install` brings one") from error
    match = _VERSION.search(answer.stdout + answer.stderr)
    if match is None:
        raise LabError(
            f"{' '.join(command)} does not say it is SIPp: {(answer.stdout + answer.stderr).strip()[:200]!r}"
        )
    version = tuple(int(part or 0) for part in match.groups())
    if version < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise LabError(f"SIPp {match[0]} is too old: {wanted} or newer is needed; `acd lab install` brings one")
    return ".".join(map(str, version))


class SippProcess:
    """One SIPp on UDP 127.0.0.1:``port``, talking to Asterisk at 127.0.0.1:``remote_port``.

    ``command`` is the program with whatever goes before it (a loader), ``env`` its whole
    environment (None: ours).
    ``rows`` are the lines of the injection file; SIPp takes them in turn and begins anew after the last.
    With ``load`` it calls, without it it is called. ``directory`` is its own: it is made, and its files are replaced.
    Use it once: `start`, then `wait` or `stop`.
    """

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        *,
        name: str,
        scenario: str,
        port: int,
        remote_port: int,
        rows: Sequence[Sequence[str]] = (),
        load: Load | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.port = name, port
        self._command, self._directory = tuple(command), directory
        self._scenario, self._rows, self._remote_port = scenario, rows, remote_port
        self._load, self._env = load, tuple(sorted(env.items())) if env is not None else None
        self._process: Process | None = None
        self._stopping = False

    async def start(self) -> None:
        """Start it, and return when its port is open; LabError with SIPp's own words when that fails."""
        if self._process is not None:
            raise LabError(f"SIPp {self.name} was started before")
        await asyncio.to_thread(check_version, self._command, self._env)
        self._check_port()
        self._write_files()
        process = Process.spawn(
            self._arguments(),
            log=self._path("output.log"),
            env=None if self._env is None else dict(self._env),
            cwd=self._directory,
            die_with_parent=True,
        )
        self._process = process
        async with asyncio.timeout(_START_S):
            # Neither a foreign process's port nor its file can be awaited otherwise.
            while process.running and not (self._port_open() and self._path("stat.csv").exists()):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        if not process.running and not self._ended_well():
            raise LabError(f"SIPp {self.name} on port {self.port} did not start: {self._last_words()}")

    async def wait(self, timeout_s: float | None = None) -> SippResult:
        """Wait until all its calls are over; TimeoutError, and SIPp goes on, when they are not after ``timeout_s``."""
        process = self._started()
        async with asyncio.timeout(timeout_s):
            while not await asyncio.to_thread(process.wait, 0.5):
                pass
        return self._result()

    async def stop(self, grace_s: float = 5.0) -> SippResult:
        """No new calls; those under way may end within ``grace_s``, then they are broken off and count as lost."""
        process = self._started()
        self._stopping = True
        if self._load is None:
            await self._until_quiet(grace_s)
        # SIPp's soft end; but a hard one when it has placed its last call. Then it ends softly by itself.
        if self._load is None or self.counts().created < self._load.count - self._load.rate * 2 * _STATISTICS_MS / 1000:
            process.send(signal.SIGUSR1)
        with contextlib.suppress(TimeoutError):
            return await self.wait(grace_s if self._load is not None else min(grace_s, 1.0))
        await asyncio.to_thread(self._end_hard, process)
        return self._result()

    @staticmethod
    def _end_hard(process: Process) -> None:
        """The second signal. Two that are under way at once are one, so it is sent until it has worked."""
        for _ in range(50):
            process.send(signal.SIGUSR1)
            if process.wait(0.1):
                return
        process.end(signal.SIGTERM, 2.0)

    def counts(self) -> SippCounts:
        """The totals so far, at most a quarter of a second old."""
        return read_counts(self._path("stat.csv"))

    @property
    def started(self) -> bool:
        """Whether `start` got as far as a process."""
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """Its process id, once it was started."""
        return self._process.pid if self._process is not None else None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.running

    @property
    def cpu_s(self) -> float:
        """Processor time SIPp has used so far, in seconds; 0 after its end."""
        return self._process.cpu_s if self._process is not None else 0.0

    # ---------------------------------------------------------------------------------------------------- inside

    def _started(self) -> Process:
        if self._process is None:
            raise LabError(f"SIPp {self.name} was not started")
        return self._process

    def _path(self, name: str) -> Path:
        return self._directory / name

    def _write_files(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        for stale in ("stat.csv", "errors.log", "calls.log", "output.log"):
            self._path(stale).unlink(missing_ok=True)
        for old in self._directory.glob(_ANSWER_TIMES.format(pid="*")):
            old.unlink()
        self._path(_SCENARIO).write_text(self._scenario, encoding="utf-8")
        if self._rows:
            for value in (value for row in self._rows for value in row):
                # SIPp has no quoting here; callers' names come percent-encoded.
                if any(sign in value for sign in ";\r\n") or value.startswith("#"):
                    raise LabError(f"{value!r} cannot be injected into a SIPp scenario (; # or line feed)")
            lines = "\n".join(";".join(row) for row in self._rows)
            self._path("calls.csv").write_text(f"SEQUENTIAL\n{lines}\n", encoding="utf-8")

    def _arguments(self) -> list[str]:
        line = [*self._command, f"{HOST}:{self._remote_port}", "-sf", _SCENARIO, "-t", "u1"]
        line += ["-i", HOST, "-mi", HOST, "-ci", HOST, "-p", str(self.port)]
        line += ["-nostdin", "-aa", "-buff_size", str(_SOCKET_BYTES), "-timer_resol", "1", "-watchdog_interval", "0"]
        line += ["-trace_stat", "-stf", "stat.csv", "-fd", f"{_STATISTICS_MS}ms", "-f", "3600"]
        line += ["-trace_err", "-error_file", "errors.log", "-trace_logs", "-log_file", "calls.log"]
        line += ["-trace_rtt", "-rtt_freq", "1"]
        line += ["-max_log_size", str(_LOG_BYTES)]
        if self._rows:
            line += ["-inf", "calls.csv"]
        if self._load is not None:
            # Without a limit of ours SIPp sets one of its own, three times what it thinks is needed.
            at_once = self._load.at_once if self._load.at_once is not None else self._load.count
            line += ["-m", str(self._load.count), "-r", f"{self._load.rate:g}", "-l", str(at_once)]
        return line

    def _check_port(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((HOST, self.port))
            except OSError as error:
                raise LabError(f"UDP port {self.port} for SIPp {self.name} is not free: {error}") from error

    def _port_open(self) -> bool:
        wanted = f":{self.port:04X}"
        lines = Path("/proc/net/udp").read_text().splitlines()[1:]
        return any(line.split()[1].endswith(wanted) for line in lines)

    async def _until_quiet(self, grace_s: float) -> None:
        """A called SIPp refuses new calls by silence once it ends, so its calls end first, as far as they will."""
        deadline = asyncio.get_running_loop().time() + grace_s
        while self.running and self.counts().current and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_STATISTICS_MS / 2000)

    def _ended_well(self) -> bool:
        """Whether it got as far as its calls; a SIPp that refuses its arguments or scenario never writes a statistic."""
        return read_counts(self._path("stat.csv")) != SippCounts()

    def _last_words(self) -> str:
        words = [*read_errors(self._path("errors.log"))]
        with contextlib.suppress(FileNotFoundError):
            words += self._path("output.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        return " ".join(words[-5:]) or f"it said nothing; see {self._directory}"

    def _result(self) -> SippResult:
        counts = self.counts()
        over = counts.created >= self._load.count if self._load is not None else False
        if not self._stopping and not over:
            raise LabError(f"SIPp {self.name} ended by itself: {self._last_words()}")
        return SippResult(
            counts,
            read_answer_times(self._path(_ANSWER_TIMES.format(pid=self._started().pid))),
            read_errors(self._path("errors.log")),
            read_events(self._path("calls.log")),
        )
