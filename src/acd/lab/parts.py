"""The parts the lab is made of (Asterisk, SIPp, PostgreSQL...): Debian packages unpacked into folders of their own.

A part lives in ``<cache>/parts/<name>``: the packages and all they depend on, down to the C library, so that it runs
through its own loader whatever the machine has installed. How packages are fetched is `debian`'s business; how a
program is configured belongs to the module that runs it. Standard library only: a bare Python imports it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from acd.domain.errors import LabError
from acd.lab.debian import MirrorError, PackageMissingError, PrivateApt
from acd.lab.mirrors import Mirror, mirrors, system_sources
from acd.lab.paths import cache_dir, make_dir
from acd.lab.progress import Progress, no_progress

_MERGED = ("bin", "sbin", "lib", "lib64")
_NOT_NEEDED = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/info", "./usr/share/lintian")
_PROGRAM_FOLDERS = ("usr/sbin", "usr/bin", "usr/games", "sbin", "bin")
_LISTS_FRESH_S = 600
_LAYOUT = 1  # raise it when unpacking changes, so that caches made before are made anew


@dataclass(frozen=True)
class PartSet:
    """Packages that belong together and are unpacked into one folder.

    ``suites`` are Debian suites in order of preference; the next is taken when one cannot supply the packages.
    ``links`` are symbolic links (place -> target) that the packages' own install scripts would make. ``wrapped`` are
    patterns of programs that other programs of the part start by their path: they get a script in front that goes
    through the loader.
    """

    name: str
    packages: tuple[str, ...]
    suites: tuple[str, ...] = ("sid", "testing")
    links: tuple[tuple[str, str], ...] = ()
    wrapped: tuple[str, ...] = ()


ASTERISK = PartSet(
    "asterisk",
    ("asterisk", "asterisk-moh-opsound-wav", "asterisk-core-sounds-en-wav"),
    links=(("usr/share/asterisk/sounds/en", "en_US_f_Allison"),),
)
SIPP = PartSet("sipp", ("sip-tester",))
POSTGRESQL = PartSet(
    "postgresql", ("postgresql",), suites=("sid", "testing", "bookworm"), wrapped=("usr/lib/postgresql/*/bin/*",)
)
PIP = PartSet("pip", ("python3-pip-whl",), suites=("bookworm", "testing", "sid"))
_BROWSER_FILES = (
    *("headless_command_resources.pak", "headless_lib_data.pak", "headless_lib_strings.pak"),
    *("icudtl.dat", "v8_context_snapshot.bin", "snapshot_blob.bin"),
)
_TRIPLET = f"{os.uname().machine}-linux-gnu"
CHROMIUM = PartSet(
    "chromium",
    ("chromium-headless-shell", "fonts-dejavu-core"),
    # It looks for its files beside the running program, which is the loader
    links=tuple((f"usr/lib/{_TRIPLET}/{name}", f"../chromium/{name}") for name in _BROWSER_FILES),
    # Its helpers are started by the program's path
    wrapped=("usr/lib/chromium/chromium-headless-shell",),
)

PARTS: Mapping[str, PartSet] = {part.name: part for part in (ASTERISK, SIPP, POSTGRESQL, CHROMIUM)}


@dataclass(frozen=True)
class Unpacked:
    """A part on this machine. ``root`` is its folder, ``versions`` maps each package to its version."""

    name: str
    root: Path
    suite: str
    versions: Mapping[str, str] = field(hash=False)

    @property
    def loader(self) -> Path:
        """The part's own dynamic loader."""
        for pattern in ("lib*/ld-linux*.so.*", "usr/lib/*/ld-linux*.so.*"):
            found = sorted(self.root.glob(pattern))
            if found:
                return found[0]
        raise LabError(f"the part {self.name} in {self.root} has no loader; delete that folder and install it again")

    @property
    def library_path(self) -> str:
        """The folders the loader searches, joined with colons."""
        triplets = sorted(path.parent for path in self.root.glob("usr/lib/*/libc.so.6"))
        # libpulse keeps a library of its own in a folder of its own
        folders = [*triplets, *(folder / "pulseaudio" for folder in triplets), self.root / "usr/lib"]
        for conf in sorted(self.root.glob("etc/ld.so.conf.d/*.conf")):
            lines = conf.read_text(errors="replace").splitlines()
            folders += [self.root / line.strip().lstrip("/") for line in lines if line.startswith("/")]
        return ":".join(str(folder) for folder in dict.fromkeys(folders) if folder.is_dir())

    def path(self, program: str) -> Path:
        """The program's file: ``program`` is its name, or its path below the root."""
        if "/" in program:
            candidates = [self.root / program.lstrip("/")]
        else:
            candidates = [self.root / folder / program for folder in _PROGRAM_FOLDERS]
        for candidate in candidates:
            if candidate.exists():
                return candidate
        raise LabError(
            f"the part {self.name} has no program {program!r}; delete {self.root} and run: acd lab install {self.name}"
        )

    def command(self, program: str, *arguments: str) -> list[str]:
        """The command line that runs ``program`` with this part's own loader and libraries."""
        path = self.path(program)
        with path.open("rb") as file:
            elf = file.read(4) == b"\x7fELF"
        if not elf:
            return [str(path), *arguments]
        through = [str(self.loader), "--library-path", self.library_path, "--argv0", str(path)]
        return [*through, str(path), *arguments]

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that tell libraries where what they look up by absolute path lies."""
        found = {}
        for key, pattern in (("OPENSSL_MODULES", "usr/lib/*/ossl-modules"), ("GCONV_PATH", "usr/lib/*/gconv")):
            places = sorted(self.root.glob(pattern))
            if places:
                found[key] = str(places[0])
        return found

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment for ``command``: this process's own, with `variables` and ``extra``."""
        return environment({**self.variables, **(extra or {})})


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what steers the machine's own loader, and with ``extra``."""
    return {**{key: value for key, value in os.environ.items() if not key.startswith("LD_")}, **extra}


def installed(part: PartSet, cache: Path | None = None) -> Unpacked | None:
    """The part if this cache holds it as it is defined now; no network, no lock."""
    place = (cache if cache is not None else cache_dir()) / "parts" / part.name
    try:
        root = place.resolve(strict=True)
        manifest = json.loads((root / "manifest.json").read_text())
        if manifest["definition"] != _definition(part):
            return None
        return Unpacked(part.name, root, manifest["suite"], manifest["versions"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def ensure(
    part: PartSet,
    cache: Path | None = None,
    progress: Progress = no_progress,
    *,
    upgrade: bool = False,
    sources: Sequence[Mirror] | None = None,
) -> Unpacked:
    """The part, downloaded and unpacked first if need be. LabError names the package and says what to do.

    Two processes never install at the same time: the second waits, then finds the work done. ``upgrade`` looks for
    newer packages although the part is there. ``sources`` are the mirrors to try (default: the machine's own first).
    """
    cache = cache if cache is not None else cache_dir()
    present = installed(part, cache)
    if present is not None and not upgrade:
        return present
    make_dir(cache / "parts")
    with _locked(cache / "lock", progress):
        present = installed(part, cache)
        if present is not None and not upgrade:
            return present
        return _install(part, cache, progress, list(sources) if sources else mirrors(system_sources()))


def _install(part: PartSet, cache: Path, progress: Progress, sources: list[Mirror]) -> Unpacked:
    """Try every suite on every mirror, in order of preference; raise the first failure when none will do."""
    failures: list[LabError] = []
    for suite in part.suites:
        for mirror in sources:
            try:
                return _install_from(part, cache, progress, mirror, suite)
            except PackageMissingError as error:
                failures.append(error)
                break
            except MirrorError as error:
                failures.append(error)
    reasons = "; ".join(dict.fromkeys(str(failure) for failure in failures))
    raise LabError(f"cannot install {part.name} ({', '.join(part.packages)}): {reasons}")


def _install_from(part: PartSet, cache: Path, progress: Progress, mirror: Mirror, suite: str) -> Unpacked:
    archives = cache / "archives"
    apt = PrivateApt(list_folder(cache, mirror, suite), archives, mirror, suite)
    fresh = apt.lists_age_s() < _LISTS_FRESH_S
    while True:
        try:
            if not fresh:
                apt.update(progress)
        except MirrorError:
            # Without a network, lists from an earlier run and archives that are all there still do.
            if apt.lists_age_s() == math.inf:
                raise
        progress(f"resolving {part.name}", None)
        try:
            wanted = apt.resolve(part.packages)
            apt.download(part.packages, wanted, progress)
            break
        except (MirrorError, PackageMissingError):
            # The archive moves on: lists that were taken for fresh may name files that are gone by now.
            if not fresh:
                raise
            fresh = False
    versions = {archive.package: archive.version for archive in sorted(wanted, key=lambda archive: archive.package)}
    content = json.dumps([_definition(part), sorted(archive.sha256 for archive in wanted)])
    root = cache / "parts" / f"{part.name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    unpacked = Unpacked(part.name, root, suite, versions)
    if not (root / "manifest.json").exists():
        _unpack(part, unpacked, [archives / archive.filename for archive in wanted], progress)
    _point(cache / "parts" / part.name, root)
    return unpacked


def list_folder(cache: Path, mirror: Mirror, suite: str) -> Path:
    """Where apt keeps its state for one suite of one mirror."""
    identity = hashlib.sha256(f"{mirror.uri} {mirror.keyring}".encode()).hexdigest()[:8]
    return cache / "apt" / f"{suite}-{identity}"


def _unpack(part: PartSet, unpacked: Unpacked, archives: Sequence[Path], progress: Progress) -> None:
    """Unpack into a folder beside the final one and rename it when whole: a part is there or it is not."""
    root = unpacked.root
    temporary = root.with_name(f".{root.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(root, ignore_errors=True)
    for name in _MERGED:
        # Packages from before the merge of /lib and /usr/lib unpack through these links to the same place.
        make_dir(temporary / "usr" / name)
        (temporary / name).symlink_to(f"usr/{name}")
    done = 0
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 2)) as pool:
        results = [pool.submit(_extract, archive, temporary) for archive in archives]
        try:
            for result in results:
                result.result()
                done += 1
                progress(f"unpacking {part.name}: {done} of {len(archives)} packages", done / len(archives))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    for place, target in part.links:
        link = temporary / place
        if not link.is_symlink() and not link.exists():
            make_dir(link.parent)
            link.symlink_to(target)
    for pattern in part.wrapped:
        for program in sorted(temporary.glob(pattern)):
            _wrap(program, temporary, unpacked)
    manifest = {"definition": _definition(part), "suite": unpacked.suite, "versions": dict(unpacked.versions)}
    (temporary / "manifest.json").write_text(json.dumps(manifest, indent=1))
    os.rename(temporary, root)


def _extract(archive: Path, target: Path) -> None:
    """Unpack one package's files. The archive was checked against the signed lists before."""
    tar = [
        *("tar", "-x", "-f", "-", "-C", str(target), "--no-same-owner", "--no-same-permissions", "--touch"),
        *("--keep-directory-symlink", *(f"--exclude={path}" for path in _NOT_NEEDED)),
    ]
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as reader:
        result = subprocess.run(tar, stdin=reader.stdout, capture_output=True, check=False)
        assert reader.stderr is not None
        said = reader.stderr.read() + result.stderr
    if reader.returncode or result.returncode:
        text = said.decode(errors="replace").strip()[-300:]
        if "No space left" in text:
            raise LabError(
                f"the disk ran full while unpacking {archive.name} into {target.parent}: make room there, or set "
                "ACD_LAB_CACHE to a folder on another disk"
            )
        raise LabError(f"cannot unpack {archive}: {text}; delete that file and run the command again")


def _wrap(program: Path, temporary: Path, unpacked: Unpacked) -> None:
    """Put a script in the program's place that runs it through the part's loader, as the part will lie in the end."""
    with program.open("rb") as file:
        if program.is_symlink() or file.read(4) != b"\x7fELF":
            return
    real = program.with_name(f"{program.name}.elf")
    program.rename(real)
    here = Unpacked(unpacked.name, temporary, unpacked.suite, unpacked.versions)
    loader, libraries, target = (
        shlex.quote(text.replace(str(temporary), str(unpacked.root)))
        for text in (str(here.loader), here.library_path, str(real))
    )
    program.write_text(f'#!/bin/sh\nexec {loader} --library-path {libraries} --argv0 "$0" {target} "$@"\n')
    program.chmod(0o755)


def _point(link: Path, root: Path) -> None:
    """Make ``link`` point to ``root`` in one step. What it pointed to before stays, for programs may still run from it;
    what came before that is removed."""
    before = link.resolve() if link.is_symlink() else None
    fresh = link.with_name(f".{link.name}.link")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(root.name)
    os.replace(fresh, link)
    for other in link.parent.glob(f"{link.name}-{'[0-9a-f]' * 12}"):
        if other.resolve() not in (root.resolve(), before):
            shutil.rmtree(other, ignore_errors=True)


def _definition(part: PartSet) -> list[object]:
    """What of a part's definition shapes its folder, as JSON reads it back."""
    links: list[object] = [list(link) for link in part.links]
    return [_LAYOUT, list(part.packages), list(part.suites), links, list(part.wrapped)]


@contextlib.contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the cache's lock; waits while another process installs. The kernel frees it if that process dies."""
    try:
        file = path.open("a+")
    except OSError as error:
        raise LabError(f"cannot write {path}: {error.strerror}; set ACD_LAB_CACHE to a folder you may write") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            progress(f"waiting for another installation (process {file.read().strip() or 'unknown'})", None)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def ensure_all(
    parts: Sequence[PartSet], cache: Path | None = None, progress: Progress = no_progress, *, upgrade: bool = False
) -> list[Unpacked]:
    """`ensure` for several parts, one after the other (they share apt's state and the network)."""
    return [ensure(part, cache, progress, upgrade=upgrade) for part in parts]
