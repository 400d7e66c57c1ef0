"""Which mirror the machine's own apt sources name: both formats, third parties passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from acd.domain.errors import LabError
from acd.lab.mirrors import DEFAULT_MIRROR, Source, mirrors, parse_deb822, parse_one_line, system_sources

ONE_LINE = """\
# deb http://old.example/debian bookworm main
deb http://one.example/debian bookworm main contrib # trailing words
deb-src http://one.example/debian bookworm main
deb [arch=amd64 signed-by=/keys/own.gpg] https://two.example/debian trixie main
deb [ trusted=yes ] http://three.example/debian sid main
deb cdrom:[Debian]/ bookworm main
nonsense
"""

DEB822 = """\
# the stock file of the container image
Types: deb deb-src
URIs: http://one.example/debian
  http://two.example/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /keys/a.gpg /keys/b.gpg

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://inline.example/debian
Suites: sid
# a remark amid the stanza
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 xyz

Types: deb-src
URIs: http://sources.example/debian
Suites: sid
Components: main
"""


def test_one_line_format() -> None:
    assert parse_one_line(ONE_LINE) == [
        Source("http://one.example/debian", ("bookworm",), ("main", "contrib")),
        Source("https://two.example/debian", ("trixie",), ("main",), "/keys/own.gpg"),
        Source("http://three.example/debian", ("sid",), ("main",)),
        Source("cdrom:[Debian]/", ("bookworm",), ("main",)),
    ]


def test_deb822_format() -> None:
    suites = ("bookworm", "bookworm-updates")
    assert parse_deb822(DEB822) == [
        Source("http://one.example/debian", suites, ("main",), "/keys/a.gpg,/keys/b.gpg"),
        Source("http://two.example/debian/", suites, ("main",), "/keys/a.gpg,/keys/b.gpg"),
        Source("http://inline.example/debian", ("sid",), ("main",), None),
    ]


def test_both_places_are_read_and_other_files_are_not(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example/debian sid main\n")
    (tmp_path / "sources.list.d/b.list").write_bytes(b"deb http://b.example/debian sid main # caf\xe9\n")
    (tmp_path / "sources.list.d/c.sources").write_text(
        "Types: deb\nURIs: http://c.example/debian\nSuites: sid\nComponents: main\n"
    )
    (tmp_path / "sources.list.d/d.list.disabled").write_text("deb http://d.example/debian sid main\n")
    assert [source.uri[7] for source in system_sources(tmp_path)] == ["a", "b", "c"]
    assert system_sources(tmp_path / "nowhere") == []


MAIN = ("main",)


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        pytest.param([], [DEFAULT_MIRROR], id="nothing said"),
        pytest.param(
            [Source("http://m.example/x/debian/", ("bookworm",), MAIN)],
            ["http://m.example/x/debian", DEFAULT_MIRROR],
            id="a mirror by its path",
        ),
        pytest.param(
            [
                Source("https://vendor.example/apt/debian", ("bookworm",), MAIN),
                Source("http://m.example/archive", ("bookworm",), MAIN),
                Source("http://m.example/archive", ("bookworm-updates",), MAIN),
            ],
            ["http://m.example/archive", "https://vendor.example/apt/debian", DEFAULT_MIRROR],
            id="one with -updates comes first, whatever its path",
        ),
        pytest.param(
            [
                Source("https://apt.vendor.example", ("bookworm",), MAIN),
                Source("https://other.example/linux/debian", ("bookworm",), ("stable",)),
                Source("http://u.example/ubuntu", ("jammy", "jammy-updates"), MAIN),
                Source("cdrom:[Debian]/debian", ("bookworm",), MAIN),
            ],
            [DEFAULT_MIRROR],
            id="third parties, another distribution, a disc",
        ),
        pytest.param(
            [Source(DEFAULT_MIRROR, ("bookworm", "bookworm-updates"), MAIN)], [DEFAULT_MIRROR], id="the default itself"
        ),
    ],
)
def test_mirrors(tmp_path: Path, sources: list[Source], expected: list[str]) -> None:
    keyring = tmp_path / "debian.gpg"
    keyring.touch()
    found = mirrors(sources, [tmp_path / "absent.gpg", keyring])
    assert [mirror.uri for mirror in found] == expected
    assert {mirror.keyring for mirror in found} == {str(keyring)}


def test_a_mirror_keeps_the_keyring_it_names(tmp_path: Path) -> None:
    keyring = tmp_path / "debian.gpg"
    keyring.touch()
    own = Source("http://m.example/debian", ("sid",), MAIN, "/keys/own.gpg")
    assert [mirror.keyring for mirror in mirrors([own], [keyring])] == ["/keys/own.gpg", str(keyring)]


def test_without_any_keyring_nothing_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="install the package debian-archive-keyring"):
        mirrors([], [tmp_path / "absent.gpg"])
