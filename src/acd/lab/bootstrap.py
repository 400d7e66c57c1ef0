"""Makes the virtual environment the project runs in, on a machine that has Python 3.11 and little else.

``PYTHONPATH=src python3 -m acd.lab.bootstrap [--lock FILE] [--venv FOLDER]``: creates the environment, installs what the
lock file names (every file checked against its hash) and the project itself, editable. Where Debian's python3 comes
without ensurepip, pip is fetched as a Debian package. A second run that finds nothing to do ends at once.

Standard library only, and nothing newer than Python 3.7 before the version check in `main`: an old Python must get as
far as saying that it is old.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from acd.lab.progress import ProgressLine

OLDEST_PYTHON = (3, 11)
_PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14", "python3")
_DISTRIBUTION = Path("/usr/bin")
"""Its Python is built with profile-guided and link-time optimisation: acd takes an eighth less processor time with it than
with one that a version manager has built without."""
_SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_STAMP = "acd-bootstrap.json"
_LAYOUT = 1
_SHOWN_LINES = 15


class BootstrapError(Exception):
    """Something that stops the environment from being made; the message says what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python3 -m acd.lab.bootstrap",
        description="Make the project's virtual environment from a lock file. Does nothing when it is up to date.",
    )
    parser.add_argument("--lock", default="requirements-dev.lock", help="lock file with hashes (%(default)s)")
    parser.add_argument("--venv", default=".venv", help="folder of the environment (%(default)s)")
    parser.add_argument(
        "--python",
        help="the Python to make it with (default: the distribution's, /usr/bin/python3.11, else the PATH's)",
    )
    arguments = parser.parse_args(argv)
    lock, venv = Path(arguments.lock).absolute(), Path(arguments.venv).absolute()
    try:
        project = _project(lock)
        wanted = _wanted(lock, project)
        if _up_to_date(venv, wanted):
            return 0
        python = _find_python(arguments.python)
        if sys.version_info < OLDEST_PYTHON:
            # What follows is written for the Python the project needs; go on with that one.
            again = [python, "-m", "acd.lab.bootstrap", *(sys.argv[1:] if argv is None else argv)]
            os.execve(python, again, {**os.environ, "PYTHONPATH": str(project / "src")})
        _bootstrap(project, lock, venv, python, wanted)
    except BootstrapError as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbootstrap: interrupted; run the command again to go on", file=sys.stderr)
        return 130
    return 0


def _project(lock: Path) -> Path:
    if not lock.is_file():
        raise BootstrapError(f"there is no lock file {lock}; run this in the project's folder, or name one with --lock")
    project = next((folder for folder in lock.parents if (folder / "pyproject.toml").is_file()), None)
    if project is None:
        raise BootstrapError(f"no pyproject.toml beside {lock} or above it; run this in the project's folder")
    return project


def _wanted(lock: Path, project: Path) -> str:
    """What the environment is made from, as one hash; the project's place counts, for scripts name it."""
    digest = hashlib.sha256(f"{_LAYOUT}\n{project}\n".encode())
    for path in (lock, project / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _up_to_date(venv: Path, wanted: str) -> bool:
    try:
        stamp = json.loads((venv / _STAMP).read_text())
        same = bool(stamp["wanted"] == wanted and stamp["python"] == _venv_version(venv))
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return same and (venv / "bin" / "python").exists()


def _venv_version(venv: Path) -> str | None:
    """The version of Python the environment was made with, as pyvenv.cfg tells it; None where there is none."""
    try:
        match = re.search(r"^version(?:_info)?\s*=\s*(\S+)", (venv / "pyvenv.cfg").read_text(), re.MULTILINE)
    except OSError:
        return None
    return match.group(1) if match else None


def _find_python(named: str | None) -> str:
    """The executable to make the environment with: the first of the usual names that is new enough, in `_DISTRIBUTION`, on
    the PATH."""
    too_old = []
    usual = [*(str(_DISTRIBUTION / name) for name in _PYTHONS), *_PYTHONS, sys.executable]
    for name in [named] if named else usual:
        path = shutil.which(name)
        if path is None:
            continue
        program = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
        # A version manager's stand-in may exist for a Python that is not there.
        result = subprocess.run([path, "-c", program], capture_output=True, text=True, check=False)
        if result.returncode != 0 or " " not in result.stdout:
            continue
        version, executable = result.stdout.strip().split(" ", 1)
        if tuple(int(number) for number in version.split(".")) >= OLDEST_PYTHON:
            return executable
        too_old.append(f"{path} is {version}")
    found = f" ({'; '.join(dict.fromkeys(too_old))})" if too_old else ""
    raise BootstrapError(
        f"no Python 3.11 or newer {'at ' + named if named else 'on the PATH'}{found}; "
        "install the package python3.11 (Debian 12: apt install python3), or name one with --python"
    )


def _bootstrap(project: Path, lock: Path, venv: Path, python: str, wanted: str) -> None:
    from acd.domain.errors import LabError
    from acd.lab.progress import ProgressLine

    line = ProgressLine()
    with _locked(project, line):
        if _up_to_date(venv, wanted):
            return
        try:
            Installer(project, lock, venv, python, line).run()
        except LabError as error:
            line.clear()
            raise BootstrapError(str(error)) from error
        except BaseException:
            line.clear()
            raise
        stamp = {"wanted": wanted, "python": _venv_version(venv)}
        (venv / _STAMP).write_text(json.dumps(stamp))
        line.done(f"environment ready in {venv}")


@contextlib.contextmanager
def _locked(folder: Path, line: ProgressLine) -> Iterator[None]:
    """One bootstrap of a project at a time; the lock is on the folder itself and leaves nothing behind."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            line("waiting for another bootstrap of this folder", None)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Installer:
    """The steps, in order; each shows what it does and stops with the failing command's last lines."""

    def __init__(self, project: Path, lock: Path, venv: Path, python: str, line: ProgressLine) -> None:
        self._project, self._lock, self._venv, self._line = project, lock, venv, line
        self._base = python
        self._python = str(venv / "bin" / "python")
        self._total = len(re.findall(r"^[A-Za-z0-9][^\s=]*==", lock.read_text(), re.MULTILINE)) or 1
        self._env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
        self._env.setdefault("PIP_DEFAULT_TIMEOUT", "60")
        self._env.pop("PYTHONPATH", None)
        self._env.pop("PYTHONHOME", None)

    def run(self) -> None:
        if not self._usable():
            self._create()
        uv = self._uv()
        if uv is not None and self._try_uv(uv):
            return
        pip = self._pip()
        self._run(
            [*pip, "install", "--progress-bar", "off", "--require-hashes", "-r", str(self._lock)],
            "installing packages",
            counted=True,
        )
        editable = ["--no-deps", "--no-build-isolation", "-e", str(self._project)]
        self._run([*pip, "install", "--progress-bar", "off", *editable], "installing the project")

    def _usable(self) -> bool:
        """Whether there is an environment already that runs and is of the same Python."""
        probe = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
        versions = []
        for python in (self._python, self._base):
            try:
                result = subprocess.run([python, "-c", probe], capture_output=True, check=False, env=self._env)
            except OSError:
                return False
            versions.append((result.returncode, result.stdout))
        return versions[0] == versions[1] and versions[0][0] == 0

    def _create(self) -> None:
        if self._venv.exists() and not (self._venv / "pyvenv.cfg").exists() and any(self._venv.iterdir()):
            raise BootstrapError(f"{self._venv} is not a virtual environment; move it away or choose another --venv")
        has_pip = self._works([self._base, "-c", "import ensurepip, venv"])
        options = [] if has_pip else ["--without-pip"]
        self._run([self._base, "-m", "venv", "--clear", *options, str(self._venv)], "creating the environment")

    def _pip(self) -> list[str]:
        """The command for pip in the environment, brought there first where Debian left it out."""
        pip = [self._python, "-m", "pip"]
        bundle = self._venv / "certificates.pem"
        needs_bundle = not _SYSTEM_CERTIFICATES.exists() and not {"PIP_CERT", "SSL_CERT_FILE"} & self._env.keys()
        if self._works([*pip, "--version"]):
            if needs_bundle and bundle.exists():
                self._env["PIP_CERT"] = str(bundle)
            return pip
        if self._works([self._python, "-c", "import ensurepip"]):
            self._run([self._python, "-m", "ensurepip", "--upgrade"], "installing pip")
            return pip
        from acd.lab.parts import PIP, ensure

        part = ensure(PIP, progress=self._line)
        wheel = next(iter(sorted(part.root.glob("usr/share/python-wheels/pip-*.whl"))), None)
        if wheel is None:
            raise BootstrapError(f"Debian's package python3-pip-whl in {part.root} holds no pip; install python3-venv")
        if needs_bundle:
            # Debian's pip trusts the system's certificates; a bare machine has none.
            certificates = sorted(part.root.glob("usr/share/ca-certificates/mozilla/*.crt"))
            bundle.write_bytes(b"".join(path.read_bytes() for path in certificates))
            self._env["PIP_CERT"] = str(bundle)
        self._env["PYTHONPATH"] = str(wheel)
        self._run([*pip, "install", "--no-index", "--no-deps", str(wheel)], "installing pip")
        del self._env["PYTHONPATH"]
        return pip

    def _uv(self) -> str | None:
        """uv where it is there and works; not where pip is told of an index or files that uv would not look at."""
        uv = shutil.which("uv")
        told = [
            name for name in self._env if re.fullmatch(r"PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|CONFIG_FILE)", name)
        ]
        files = [
            Path("/etc/pip.conf"),
            Path("~/.config/pip/pip.conf").expanduser(),
            Path("~/.pip/pip.conf").expanduser(),
        ]
        if uv is None or told or any(path.exists() for path in files):
            return None
        return uv if self._works([uv, "--version"]) else None

    def _try_uv(self, uv: str) -> bool:
        """Install with uv; False (and pip's turn) when it fails."""
        install = [uv, "pip", "install", "--quiet", "--python", self._python]
        try:
            self._run([*install, "--require-hashes", "-r", str(self._lock)], "installing packages with uv")
            editable = ["--no-deps", "--no-build-isolation", "-e", str(self._project)]
            self._run([*install, *editable], "installing the project")
        except BootstrapError:
            return False
        return True

    def _works(self, command: Sequence[str]) -> bool:
        try:
            return subprocess.run(command, capture_output=True, check=False, env=self._env).returncode == 0
        except OSError:
            return False

    def _run(self, command: Sequence[str], step: str, *, counted: bool = False) -> None:
        """Run one command, showing ``step``; ``counted`` follows pip's lines through the lock file's packages."""
        self._line(step, 0.0 if counted else None)
        said: list[str] = []
        seen = 0
        try:
            process = subprocess.Popen(
                command,
                cwd=self._project,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise BootstrapError(f"cannot run {command[0]}: {error}") from error
        with process:
            assert process.stdout is not None
            try:
                for text in process.stdout:
                    said = [*said[-_SHOWN_LINES:], text.rstrip()]
                    match = re.match(
                        r"(?:Collecting|Processing|Requirement already satisfied:) (?:\S*/)?([\w.-]+)", text
                    )
                    if counted and match is not None:
                        seen += 1
                        name = re.sub(r"-\d.*\.whl$", "", match.group(1))
                        self._line(f"{step}: {name}", 0.8 * min(seen / self._total, 1.0))
                    elif counted and text.startswith("Installing collected"):
                        self._line(f"{step}: unpacking", 0.9)
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            raise BootstrapError(self._failure(command, step, process.returncode, said))

    def _failure(self, command: Sequence[str], step: str, status: int, said: Sequence[str]) -> str:
        text = "\n".join(f"    {line}" for line in said[-_SHOWN_LINES:] if line)
        return f"{step} failed (exit status {status}): {' '.join(command)}\n{text}\n  {_advice(text)}"


def _advice(said: str) -> str:
    for pattern, advice in _ADVICE.items():
        if re.search(pattern, said, re.IGNORECASE):
            return advice
    return "correct what the lines above complain of, then run the command again"


_ADVICE: Mapping[str, str] = {
    "No space left": "the disk is full: make room and run the command again",
    "DO NOT MATCH THE HASHES|hash(es)? (are|is) required": "a package is not what the lock file promises: do not "
    "install it; check the index or proxy in between",
    "CERTIFICATE_VERIFY_FAILED": "the index's certificate is not trusted: install ca-certificates, or name your "
    "proxy's certificate in PIP_CERT",
    "Temporary failure|NewConnectionError|timed out|Max retries|No route|Network is unreachable": "the package index "
    "cannot be reached: check the network and pip's proxy or index settings, then run the command again",
    "No matching distribution|Could not find a version": "the index lacks a package of the lock file for this Python "
    "and machine: check pip's index settings",
}


if __name__ == "__main__":
    sys.exit(main())
