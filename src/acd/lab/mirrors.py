"""Which Debian archive to fetch from: what the machine's own apt sources say, else Debian's default.

Reads apt's two formats of sources and picks; fetches nothing. Standard library only: a bare Python imports it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from acd.domain.errors import LabError

#: Where Debian's archive is when the machine's own apt names no mirror of it.
DEFAULT_MIRROR = "http://deb.debian.org/debian"
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
_SUITES = frozenset(
    ("sid", "unstable", "testing", "stable", "oldstable", "buster", "bullseye", "bookworm", "trixie", "forky", "duke")
)


@dataclass(frozen=True)
class Source:
    """One entry of the machine's apt sources: one URI, its suites and components, and the keyring it names."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str | None = None


@dataclass(frozen=True)
class Mirror:
    """A Debian archive and the keyring (path) its Release files are signed with."""

    uri: str
    keyring: str


def parse_one_line(text: str) -> list[Source]:
    """The ``deb`` entries of a sources.list file: ``deb [options] URI suite component...``."""
    found = []
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)([^#]*)", line)
        if match is None:
            continue
        options = dict(part.split("=", 1) for part in (match[1] or "").split() if "=" in part)
        found.append(Source(match[2], (match[3],), tuple(match[4].split()), options.get("signed-by")))
    return found


def parse_deb822(text: str) -> list[Source]:
    """The enabled ``deb`` stanzas of a .sources file, one `Source` for each URI."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0] in " \t":
                fields[key] = f"{fields.get(key, '')}\n{line.strip()}"
            elif ":" in line:
                name, value = line.split(":", 1)
                key = name.strip().lower()
                fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        # Several keyrings are separated by blanks here and by commas in a one-line entry; a key may also be inline.
        signed_by = ",".join(fields.get("signed-by", "").replace(",", " ").split())
        suites, components = tuple(fields.get("suites", "").split()), tuple(fields.get("components", "").split())
        keyring = signed_by if signed_by.startswith("/") else None
        found += [Source(uri, suites, components, keyring) for uri in fields.get("uris", "").split()]
    return found


def system_sources(etc: Path = Path("/etc/apt")) -> list[Source]:
    """Every entry of the machine's apt sources, both formats; unreadable files are passed over."""
    found: list[Source] = []
    parts = sorted((etc / "sources.list.d").glob("*")) if (etc / "sources.list.d").is_dir() else []
    for path in (etc / "sources.list", *parts):
        if path.suffix not in (".list", ".sources"):
            continue
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found += parse_deb822(text) if path.suffix == ".sources" else parse_one_line(text)
    return found


def mirrors(sources: Iterable[Source], keyrings: Sequence[Path] = KEYRINGS) -> list[Mirror]:
    """Debian archives to try, best first: those the machine itself uses, then the default one.

    Third parties also publish suites called ``bookworm`` with a component ``main``; only an archive that comes with
    its ``-updates`` suite, or whose path is Debian's own, is taken for a mirror of Debian.
    """
    keyring = next((str(path) for path in keyrings if path.exists()), None)
    suites: dict[str, set[str]] = {}
    named_keyring: dict[str, str] = {}
    for source in sources:
        uri = source.uri.rstrip("/")
        if "main" in source.components and not uri.startswith("cdrom:"):
            suites.setdefault(uri, set()).update(suite.rstrip("/") for suite in source.suites)
            if source.signed_by is not None:
                named_keyring.setdefault(uri, source.signed_by)
    ranked: list[tuple[int, str]] = []
    for uri, names in suites.items():
        if any(name in names and f"{name}-updates" in names for name in _SUITES):
            ranked.append((0, uri))
        elif names & _SUITES and urlsplit(uri).path.rsplit("/", 1)[-1] == "debian":
            ranked.append((1, uri))
    uris = [uri for _, uri in sorted(ranked, key=lambda item: item[0])]
    if DEFAULT_MIRROR not in uris:
        uris.append(DEFAULT_MIRROR)
    chosen = [(uri, named_keyring.get(uri) or keyring) for uri in uris]
    found = [Mirror(uri, name) for uri, name in chosen if name is not None]
    if not found:
        raise LabError(
            f"none of {', '.join(map(str, keyrings))} exists, so Debian's signatures cannot be checked; "
            "install the package debian-archive-keyring"
        )
    return found
