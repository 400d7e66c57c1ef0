"""A Docker engine to try the images with: the one that runs on this machine, else one of our own that leaves no trace.

Base images, package files and builds belong here too. What the containers then do is `stack`'s matter.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from acd.domain.errors import LabError

PROJECT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = PROJECT / "docker" / "compose.yaml"
WHEELS = PROJECT / "build" / "docker" / "wheels"
#: What our own engine is asked to store images with, the better first; vfs works everywhere and copies everything.
STORAGE = ("overlay2", "vfs")
START_TIMEOUT_S = 60.0
#: As Debian's own slim images leave out.
SLIM = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")
#: Settings of this machine's apt that a new system needs to reach the same mirror.
APT_SETTINGS = re.compile(r"Acquire::(Check-Date|Check-Valid-Until|https?::Proxy) ", re.IGNORECASE)


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    check: bool = True,
    merge: bool = False,
) -> str:
    """What ``command`` printed on standard output (``merge``: and on standard error).

    LabError with its last words if it failed and ``check``.
    """
    merged = {**os.environ, **(env or {})}
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=merged, timeout=timeout_s)
    except FileNotFoundError as error:
        raise LabError(f"{command[0]} is not on this machine; docker/try installs it") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(command)} did not end within {timeout_s} s") from error
    if check and done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-3000:]
        raise LabError(f"{' '.join(command)} failed ({done.returncode}):\n{said}")
    return done.stdout + (done.stderr if merge else "")


class Engine:
    """One Docker engine. ``host`` is its socket; None: wherever the docker command looks by itself."""

    def __init__(self, host: str | None = None) -> None:
        self.env = {} if host is None else {"DOCKER_HOST": host}
        self._compose = ["docker", "compose"] if self._has_plugin() else ["docker-compose"]

    @staticmethod
    def _has_plugin() -> bool:
        return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0

    def docker(self, *arguments: str, timeout_s: float | None = None, check: bool = True, merge: bool = False) -> str:
        """Run ``docker``; the options are those of `run`."""
        return run(["docker", *arguments], env=self.env, timeout_s=timeout_s, check=check, merge=merge)

    def compose(self, settings: Mapping[str, str], *arguments: str, check: bool = True) -> str:
        """Run compose with our file. ``settings`` are those of docker/README.md."""
        command = [*self._compose, "-f", str(COMPOSE_FILE), *arguments]
        return run(command, env={**self.env, **settings}, check=check)

    def versions(self) -> str:
        """Of engine and compose, in one line."""
        engine = self.docker("version", "--format", "engine {{.Server.Version}}, client {{.Client.Version}}").strip()
        storage = self.docker("info", "--format", "{{.Driver}}").strip()
        compose = run([*self._compose, "version", "--short"], env=self.env).strip()
        return f"Docker {engine}, storage {storage}, compose {compose}"


@contextlib.contextmanager
def engine(folder: Path, *, keep: bool) -> Iterator[Engine]:
    """The running engine, else one in ``folder`` that ends with us. Its images go with it unless ``keep``."""
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        yield Engine()
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    process = _start(folder)
    try:
        yield Engine(f"unix://{folder}/docker.sock")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        _unmount_below(folder)
        if not keep:
            shutil.rmtree(folder)


def _unmount_below(folder: Path) -> None:
    """The engine leaves the mount of its network behind."""
    points = [line.split(" ")[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in sorted((p for p in points if p.startswith(f"{folder}/")), reverse=True):
        run(["umount", point])


def _start(folder: Path) -> subprocess.Popen[bytes]:
    chosen = folder / "storage"
    candidates = (chosen.read_text(),) if chosen.exists() else STORAGE
    log = folder / "dockerd.log"
    for storage in candidates:
        command = [
            "dockerd",
            # The containers use this machine's network: nothing of it needs to change.
            *("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none"),
            *(f"--storage-driver={storage}", f"--data-root={folder}/data", f"--exec-root={folder}/run"),
            *(f"--pidfile={folder}/pid", f"--host=unix://{folder}/docker.sock"),
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        if _answers(process, f"unix://{folder}/docker.sock"):
            chosen.write_text(storage)
            return process
    raise LabError(f"no Docker engine runs here, and ours does not start; {log} ends: {log.read_text()[-1500:]}")


def _answers(process: subprocess.Popen[bytes], host: str) -> bool:
    """Whether the engine came up; if not, it has ended."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None:
        found = subprocess.run(["docker", "info"], capture_output=True, env={**os.environ, "DOCKER_HOST": host})
        if found.returncode == 0:
            return True
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
        else:
            time.sleep(0.2)
    return False


def base_image(on: Engine, suite: str, *, pull: bool) -> str:
    """The name of an image with Debian's ``suite``: from the registry if that can be reached, else made here."""
    name, made = f"debian:{suite}-slim", f"acd-try/debian:{suite}"
    if pull:
        with contextlib.suppress(LabError):
            on.docker("pull", "--quiet", name, timeout_s=300)
            return name
    if on.docker("images", "--quiet", made).strip():
        return made
    command = ["mmdebstrap", "--quiet", "--variant=minbase"]
    command += [f"--aptopt={line}" for line in run(["apt-config", "dump"]).splitlines() if APT_SETTINGS.match(line)]
    command += [f"--dpkgopt=path-exclude={path}" for path in SLIM]
    archive = Path(f"{COMPOSE_FILE.parents[1]}/build/docker/{suite}.tar")
    archive.parent.mkdir(parents=True, exist_ok=True)
    try:
        run([*command, suite, str(archive)])
        on.docker("import", "--change", 'CMD ["bash"]', str(archive), made)
    finally:
        archive.unlink(missing_ok=True)
    return made


def fetch_wheels() -> None:
    """The packages of the lock files, by this machine's pip with this machine's settings, checked by their hashes."""
    environment = WHEELS.with_name("pip")
    run(["/usr/bin/python3", "-m", "venv", "--clear", str(environment)])
    build_lock = WHEELS.with_name("build.lock")
    with (PROJECT / "requirements-dev.lock").open() as lock:
        wanted = subprocess.run([PROJECT / "docker/acd/build-lock"], stdin=lock, capture_output=True, check=True)
    build_lock.write_bytes(wanted.stdout)
    for lock_file in (PROJECT / "requirements.lock", build_lock):
        command = [str(environment / "bin" / "pip"), "download", "--quiet", "--require-hashes"]
        run([*command, "-r", str(lock_file), "-d", str(WHEELS)])


def drop_wheels() -> None:
    """Take away what `fetch_wheels` brought."""
    for path in (WHEELS, WHEELS.with_name("pip")):
        shutil.rmtree(path, ignore_errors=True)
    WHEELS.with_name("build.lock").unlink(missing_ok=True)
