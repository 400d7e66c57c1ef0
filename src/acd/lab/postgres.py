"""One private PostgreSQL server in a folder of its own, for tests and benchmarks: started, frozen, killed, removed.

Uses a server of this machine (15 or newer) or the lab's own part. What is stored in it is not its business.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from acd.domain.errors import LabError
from acd.domain.values import valueclass
from acd.lab.asterisk_files import free_ports
from acd.lab.parts import POSTGRESQL, ensure
from acd.lab.paths import make_dir, readable_by_others, socket_dir
from acd.lab.processes import Account, Process
from acd.lab.progress import Progress, no_progress

OLDEST_MAJOR = 15
USER = "acd"
#: Where Debian keeps servers, a folder for each major version.
SYSTEM_FOLDERS = Path("/usr/lib/postgresql")
_POLL_S = 0.01
_LOG_LINES = 8


@valueclass(frozen=True, slots=True)
class PostgresProgram:
    """The folder with ``postgres`` and ``initdb``, and the server's major version."""

    bin: Path
    major: int


def find_server(cache: Path | None = None, progress: Progress = no_progress) -> PostgresProgram:
    """A server of this machine that is new enough, else the lab's own part, installed first if need be."""
    on_path = shutil.which("postgres")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(SYSTEM_FOLDERS.glob("*/bin"), key=_folder_number, reverse=True)
    for folder in candidates:
        major = _major(folder)
        if major is not None and major >= OLDEST_MAJOR:
            return PostgresProgram(folder, major)
    part = ensure(POSTGRESQL, cache, progress)
    for folder in sorted(part.root.glob("usr/lib/postgresql/*/bin"), key=_folder_number, reverse=True):
        major = _major(folder)
        if major is not None:
            if major < OLDEST_MAJOR:
                raise LabError(f"Debian's PostgreSQL in {part.root} is version {major}; {OLDEST_MAJOR} is needed")
            return PostgresProgram(folder, major)
    raise LabError(
        f"the PostgreSQL in {part.root} does not run; delete that folder and run: acd lab install postgresql"
    )


def _folder_number(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdecimal() else 0


def _major(folder: Path) -> int | None:
    """The major version of the server in ``folder``; None when there is none that runs, or no initdb beside it."""
    if not (folder / "initdb").exists():
        return None
    try:
        result = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\) (\d+)", result.stdout)
    return int(match[1]) if match else None


class LabPostgres:
    """A server on a loopback port and a Unix socket, with one superuser (``acd``) and a generated password.

    PostgreSQL refuses to run as root; then it runs as ``nobody``, and its files go below /var/tmp when that user cannot
    reach ``directory``. ``settings`` are server settings (``{"fsync": "off"}``). `remove` deletes everything.
    """

    def __init__(
        self,
        directory: Path,
        program: PostgresProgram | None = None,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        die_with_parent: bool = False,
    ) -> None:
        self.directory = directory.absolute()
        self.program = program if program is not None else find_server()
        self.port = port if port is not None else free_ports(1)[0]
        self._settings, self._die_with_parent = dict(settings or {}), die_with_parent
        self._account = _account()
        make_dir(self.directory)
        self.home = self.directory
        if self._account is not None and not readable_by_others(self.directory):
            digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
            self.home = Path("/var/tmp") / f"acd-lab-postgres-{digest}"
        self.data, self.log = self.home / "data", self.home / "postgres.log"
        self.sockets = socket_dir(self.home / "sockets", f".s.PGSQL.{self.port}")
        self._process: Process | None = None

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self, timeout_s: float = 30.0) -> None:
        """Create the cluster if it is not there yet, start the server and wait until it takes connections."""
        if self.running:
            raise LabError(f"PostgreSQL already runs in {self.home}")
        trusted = {os.getuid(), self._account.uid if self._account else os.getuid()}
        for folder in (self.home, self.sockets):
            make_dir(folder, 0o700)
            if folder.is_symlink() or folder.stat().st_uid not in trusted:
                raise LabError(f"{folder} belongs to another user; remove it or choose another folder")
            self._own(folder)
        if not (self.data / "PG_VERSION").exists():
            self._initialise(timeout_s)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.sockets),
            # A machine without time zone data knows this one all the same.
            "timezone": "GMT",
            "log_timezone": "GMT",
            "max_connections": "100",
            **self._settings,
        }
        arguments = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        deadline = time.monotonic() + timeout_s
        self.log.touch()
        self._process = Process.spawn(
            [str(self.program.bin / "postgres"), "-D", str(self.data), *arguments],
            log=self.log,
            env=self._env(),
            cwd=self.home,
            account=self._account,
            die_with_parent=self._die_with_parent,
        )
        try:
            self._await_ready(deadline, timeout_s)
        except BaseException:
            self.kill()
            raise

    def _initialise(self, timeout_s: float) -> None:
        password = self.home / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        self._own(password)
        shutil.rmtree(self.data, ignore_errors=True)
        command = [
            *(str(self.program.bin / "initdb"), "-D", str(self.data), "-U", USER, f"--pwfile={password}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        ]
        try:
            result = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
                cwd=self.home,
                env=self._env(),
                user=self._account.uid if self._account else None,
                group=self._account.gid if self._account else None,
                extra_groups=[] if self._account else None,
            )
        except PermissionError as error:
            raise LabError(
                f"the user PostgreSQL runs as (nobody) cannot reach {command[0]}; set ACD_LAB_CACHE to a folder "
                "that all users can read, such as /var/cache/acd/lab"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise LabError(f"initdb did not end within {timeout_s:g} s in {self.home}") from error
        if result.returncode != 0:
            said = " | ".join((result.stderr or result.stdout).strip().splitlines()[-_LOG_LINES:])
            raise LabError(f"cannot create a PostgreSQL cluster in {self.data}: {said}")

    def _await_ready(self, deadline: float, timeout_s: float) -> None:
        while time.monotonic() < deadline:
            if not self.running:
                raise LabError(f"PostgreSQL ended while starting in {self.home}; {self._said()}")
            # The last line of postmaster.pid says what the server is doing; an old file has another process's id.
            with contextlib.suppress(OSError):
                lines = (self.data / "postmaster.pid").read_text().splitlines()
                if len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready":
                    return
            time.sleep(_POLL_S)
        raise LabError(f"PostgreSQL in {self.home} did not come up within {timeout_s:g} s; {self._said()}")

    def stop(self, timeout_s: float = 10.0) -> None:
        """End it cleanly, cutting off clients; by SIGKILL what does not end in time."""
        if self._process is not None:
            self.thaw()
            self._process.end(signal.SIGINT, timeout_s)
        self._process = None

    def kill(self) -> None:
        """SIGKILL to the server and every process of it at once, as when the machine loses power."""
        if self._process is not None:
            self._send_all(signal.SIGKILL)
            self._process.end(signal.SIGKILL, 10.0)
        self._process = None

    def freeze(self) -> None:
        """Stop every process of the server in its tracks; connections stay open and nothing is answered."""
        self._require()
        self._send_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._send_all(signal.SIGCONT)

    def remove(self) -> None:
        """Kill it and delete all it wrote."""
        self.kill()
        for folder in (self.home, self.sockets):
            if folder == self.directory:
                for entry in (self.data, self.log, self.home / "password", self.home / "sockets"):
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)
            else:
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.running else None

    # --- use ------------------------------------------------------------------------------------------------------

    @property
    def password(self) -> str:
        return (self.home / "password").read_text()

    def url(self, database: str = "postgres", driver: str = "postgresql+psycopg") -> str:
        """The address for SQLAlchemy; with ``driver="postgresql"`` for psycopg itself."""
        return f"{driver}://{USER}:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{quote(database)}"

    def create_database(self, name: str) -> str:
        """Create an empty database, replacing one of that name, and return its SQLAlchemy address."""
        self._require()
        with psycopg.connect(self.url(driver="postgresql"), autocommit=True, connect_timeout=10) as connection:
            identifier = sql.Identifier(name)
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
        return self.url(name)

    # --- details --------------------------------------------------------------------------------------------------

    def _require(self) -> None:
        if not self.running:
            raise LabError(f"PostgreSQL does not run in {self.home}; {self._said()}")

    def _send_all(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        # The server first, so that it starts nothing new while its processes are gone through.
        children = self._process.children()
        self._process.send(number)
        for child in {*children, *self._process.children()}:
            child.send(number)

    def _own(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)

    def _env(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG", "LD_"))}
        return {**kept, "LC_ALL": "C", "TZ": "GMT"}

    def _said(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
            if lines:
                return "its log says: " + " | ".join(lines)
        return f"its log is {self.log}"


def _account() -> Account | None:
    """Whom the server runs as: ourselves, or nobody when we are root."""
    if os.getuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return Account(65534, 65534)
    return Account(entry.pw_uid, entry.pw_gid)
