"""A private apt beside the machine's own: Debian packages downloaded and checked without root and without installing.

It has its own sources list, an empty dpkg status, its own lists and archives, and the system's keyring, so every
signature is checked. Proxies and credentials of the machine's apt apply. What the packages are for, and where they are
unpacked to, is the business of `parts`. Standard library only: a bare Python imports it.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
import pwd
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from acd.domain.errors import LabError
from acd.lab.mirrors import Mirror
from acd.lab.paths import make_dir, readable_by_others
from acd.lab.progress import Progress, no_progress

_RETRIES = 3
_TIMEOUT_S = 30
_ERROR_LINES_MAX = 400
_PACKAGES_TARGET = (
    'Acquire::IndexTargets::deb::Packages { MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages"; '
    'flatMetaKey "Packages"; ShortDescription "Packages"; '
    'Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages"; };'
)


@dataclass(frozen=True)
class Archive:
    """One package file apt wants: name in the archives folder, size in bytes, SHA256 in hex."""

    filename: str
    size_bytes: int
    sha256: str

    @property
    def package(self) -> str:
        return self.filename.split("_", 1)[0]

    @property
    def version(self) -> str:
        return unquote(self.filename.split("_")[1])


class PackageMissingError(LabError):
    """The suite has no such package, or cannot satisfy what it depends on: another suite may."""


class DateError(LabError):
    """The mirror's lists are out of date, or this machine's clock is."""


class MirrorError(LabError):
    """The mirror could not be used (no such suite there, not reachable, wrong signature): another mirror may."""


class PrivateApt:
    """apt-get on one suite of one mirror, with all of its state below ``directory``; archives are shared by suites."""

    def __init__(self, directory: Path, archives: Path, mirror: Mirror, suite: str) -> None:
        for program, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("tar", "tar"), ("dpkg", "dpkg")):
            if shutil.which(program) is None:
                raise LabError(f"{program} is not on this machine; the lab needs Debian's package {package}")
        self.suite, self.mirror = suite, mirror
        self._directory, self._archives = directory, archives
        self._config = directory / "apt.conf"
        self._updated = directory / "updated"
        self._check_dates = True

    def update(self, progress: Progress = no_progress) -> None:
        """Fetch the package lists. Raises MirrorError when the mirror is of no use, LabError for anything else."""
        self._write()
        label = f"package lists of Debian {self.suite}"
        try:
            self._run(["update"], label, progress)
        except DateError as error:
            # Mirrors that stand still (snapshots) and clocks that are off are common; the signatures hold all the same.
            progress(f"note: {error}; going on, signatures are checked", None)
            self._check_dates = False
            self._write()
            self._run(["update"], label, progress)
        self._updated.touch()

    def lists_age_s(self) -> float:
        """How long ago `update` last succeeded; infinite when it never did."""
        if not any((self._directory / "lists").glob("*_Packages*")):
            return math.inf
        try:
            return max(time.time() - self._updated.stat().st_mtime, 0.0)
        except FileNotFoundError:
            return math.inf

    def resolve(self, packages: Sequence[str]) -> list[Archive]:
        """The files that ``packages`` and all they depend on consist of, in apt's order."""
        self._write()
        # apt leaves out of --print-uris what is in the archives already, so it is shown an empty folder.
        empty = make_dir(self._directory / "empty" / "partial").parent
        options = ["-o", f"Dir::Cache::archives={empty}", "-o", "Acquire::ForceHash=SHA256", "--print-uris"]
        output = self._run([*options, "install", *packages], ", ".join(packages), no_progress)
        found = re.findall(r"^'[^']*' (\S+) (\d+) SHA256:([0-9a-f]{64})$", output, re.MULTILINE)
        if not found:
            raise LabError(f"apt-get named no file for {', '.join(packages)}; it said: {output[-300:] or 'nothing'}")
        return [Archive(name, int(size), digest) for name, size, digest in found]

    def download(self, packages: Sequence[str], wanted: Sequence[Archive], progress: Progress) -> None:
        """Bring every archive of ``wanted`` into the archives folder; what is there and whole is not fetched again."""
        self._write()
        missing = []
        for archive in wanted:
            path = self._archives / archive.filename
            if path.exists() and is_whole(path, archive):
                continue
            missing.append(archive)
            path.unlink(missing_ok=True)
        if not missing:
            return
        self._check_space(sum(archive.size_bytes for archive in missing))
        label = f"{packages[0]} ({len(missing)} files, {sum(a.size_bytes for a in missing) / 1e6:.0f} MB)"
        self._run(["install", "--download-only", *packages], label, progress)
        for archive in missing:
            if not (self._archives / archive.filename).exists():
                raise LabError(f"apt-get did not bring {archive.filename} for {packages[0]}; run the command again")

    def _check_space(self, download_bytes: int) -> None:
        # Unpacked programs take about three times the room of their packages.
        needed, free = 4 * download_bytes, shutil.disk_usage(self._archives).free
        if free < needed:
            raise LabError(
                f"the disk is too full: {self._archives} has {free / 1e6:.0f} MB free, about {needed / 1e6:.0f} MB are "
                "needed; make room, or set ACD_LAB_CACHE to a folder on another disk"
            )

    def _write(self) -> None:
        make_dir(self._archives / "partial")
        for name in ("lists/partial", "state", "cache", "none"):
            make_dir(self._directory / name)
        (self._directory / "status").touch()
        sources = self._directory / "sources.list"
        sources.write_text(f"deb [signed-by={self.mirror.keyring}] {self.mirror.uri} {self.suite} main\n")
        here = self._directory
        settings: dict[str, object] = {
            "Dir::State": here / "state",
            "Dir::State::status": here / "status",
            "Dir::State::lists": here / "lists",
            "Dir::State::extended_states": here / "state" / "extended_states",
            "Dir::Cache": here / "cache",
            "Dir::Cache::archives": self._archives,
            "Dir::Cache::pkgcache": here / "cache" / "pkgcache.bin",
            "Dir::Cache::srcpkgcache": "",
            "Dir::Etc::SourceList": sources,
            "Dir::Etc::SourceParts": here / "none",
            "Dir::Etc::Preferences": here / "none" / "preferences",
            "Dir::Etc::PreferencesParts": here / "none",
            "Dir::Log": here / "state",
            "Acquire::Languages": "none",
            "Acquire::Retries": _RETRIES,
            "Acquire::http::Timeout": _TIMEOUT_S,
            "Acquire::https::Timeout": _TIMEOUT_S,
            "Acquire::AllowInsecureRepositories": "false",
            "APT::Get::AllowUnauthenticated": "false",
            "APT::Get::Assume-Yes": "true",
            "APT::Install-Recommends": "false",
            "APT::Install-Suggests": "false",
            "APT::Update::Error-Mode": "any",
            "APT::Sandbox::User": self._download_user(),
            # One process at a time uses this state: `parts` holds a lock of its own, and apt's wants root.
            "Debug::NoLocking": "true",
        }
        if not self._check_dates:
            settings |= {"Acquire::Check-Valid-Until": "false", "Acquire::Check-Date": "false"}
        lines = [
            # The machine's own hooks (desktop notifications, cache cleaners) have no business with this private state.
            "#clear APT::Update::Pre-Invoke;",
            "#clear APT::Update::Post-Invoke;",
            "#clear APT::Update::Post-Invoke-Success;",
            "#clear DPkg::Post-Invoke;",
            "#clear APT::Default-Release;",
            "#clear Acquire::IndexTargets;",
            *(f'{key} "{value}";' for key, value in settings.items()),
            "#clear APT::Architectures;",
            f'APT::Architectures {{ "{architecture()}"; }};',
            _PACKAGES_TARGET,
        ]
        self._config.write_text("\n".join(lines) + "\n")

    def _download_user(self) -> str:
        """As root apt downloads as the user _apt; not where that user cannot reach the folder (apt would warn)."""
        if os.getuid() != 0:
            return "root"
        try:
            pwd.getpwnam("_apt")
        except KeyError:
            return "root"
        return "_apt" if readable_by_others(self._archives) else "root"

    def _run(self, arguments: list[str], label: str, progress: Progress) -> str:
        """Run apt-get and return its output; on failure raise what its messages mean."""
        read_fd, write_fd = os.pipe()
        command = ["apt-get", "-c", str(self._config), "-qq", "-o", f"APT::Status-Fd={write_fd}", *arguments]
        environment = {key: value for key, value in os.environ.items() if key not in ("APT_CONFIG", "LANGUAGE")}
        environment |= {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        try:
            process = subprocess.Popen(
                command,
                cwd=self._archives,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                pass_fds=[write_fd],
            )
        finally:
            os.close(write_fd)
        watcher = threading.Thread(target=_follow, args=(read_fd, label, progress), daemon=True)
        watcher.start()
        try:
            output, errors = process.communicate()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            watcher.join()
        if process.returncode != 0:
            raise _explain(errors, label, self.suite, self.mirror, self._archives)
        return output


@functools.cache
def architecture() -> str:
    """Debian's name of this machine's architecture, such as ``amd64``."""
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def is_whole(path: Path, archive: Archive) -> bool:
    """Whether the file is exactly what the signed lists promise."""
    if path.stat().st_size != archive.size_bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == archive.sha256


def _follow(read_fd: int, label: str, progress: Progress) -> None:
    """Turn apt's status lines (``dlstatus:item:percent:text``) into progress until apt closes its end."""
    with os.fdopen(read_fd, errors="replace") as lines:
        for line in lines:
            fields = line.rstrip("\n").split(":", 3)
            if len(fields) == 4 and fields[0] == "dlstatus":
                try:
                    share = float(fields[2]) / 100
                except ValueError:
                    continue
                progress(f"downloading {label}: {fields[3]}", share)


def _explain(errors: str, label: str, suite: str, mirror: Mirror, archives: Path) -> LabError:
    """apt's messages, as an error that says which package or mirror it was and what to do."""
    lines = [line for line in errors.splitlines() if line.startswith(("E:", "W:", " "))][:_ERROR_LINES_MAX]
    said = " ".join(line.removeprefix("E:").strip() for line in lines if line.startswith("E:")) or errors[-300:].strip()
    unknown = re.findall(r"Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation candidate", errors)
    if unknown:
        names = ", ".join(sorted({first or second for first, second in unknown}))
        return PackageMissingError(f"Debian {suite} at {mirror.uri} has no package {names}")
    if "unmet dependencies" in errors or "held broken packages" in errors:
        detail = re.search(r"^ (\S+ : .*)$", errors, re.MULTILINE)
        return PackageMissingError(f"Debian {suite} cannot satisfy {detail[1] if detail else label} at the moment")
    if re.search(r"No space left|enough free space|Write error", errors):
        return LabError(
            f"the disk ran full while fetching {label}: make room below {archives}, "
            "or set ACD_LAB_CACHE to a folder on another disk"
        )
    dated = re.search(r"Release file for \S+ is (expired|not valid yet) \(([^)]*)\)", errors)
    if dated:
        return DateError(f"the lists of Debian {suite} at {mirror.uri} are {dated[1]} ({dated[2]})")
    if re.search(r"NO_PUBKEY|is not signed|signatures? (?:were|was|couldn't)|BADSIG|EXPKEYSIG|public key", errors):
        return MirrorError(
            f"the signature of Debian {suite} at {mirror.uri} does not check out with {mirror.keyring}: "
            f"upgrade the package debian-archive-keyring, or correct the mirror in /etc/apt ({said})"
        )
    failed = re.findall(r"Failed to fetch (\S+)\s+(.*)", errors)
    if failed or "does not have a Release file" in errors:
        what, why = failed[0] if failed else (f"{mirror.uri} {suite}", "it has no such suite")
        return MirrorError(
            f"could not fetch {unquote(what)}: {why.strip()}; check the network (and proxy settings of apt), "
            "then run the command again: it goes on where it stopped"
        )
    return LabError(f"apt-get failed for {label}: {said}")
