"""A file of text as lines: its encoding found out, its lines bounded, however long they are.

Read twice: once as bytes, for its digest (an import that was cut off is known by it) and to see whether it is UTF-8, and
once as text. What is not Unicode is guessed from its lines that are not ASCII, by ``charset-normalizer`` among encodings
that lists come in, and Windows-1252 is taken when nothing speaks for another. In a file that was put
together of several, UTF-8 in most of those lines, only the bytes that are not UTF-8 are read in another encoding: the whole
file in one would make a mess of one part or the other, and nobody would be told.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from charset_normalizer import from_bytes

from acd.domain.errors import ConfigurationError
from acd.domain.values import valueclass

CHUNK = 1 << 20
LINE_MAX = 100_000
"""Characters in a line: below the csv module's own limit."""
SHOWN_MAX = 1000
"""Characters kept of a longer one."""
SAMPLE_MAX = 64_000
"""Bytes of lines that are not ASCII, to guess by."""
BYTES_MAX = 20 * 1024**3
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_CODE_PAGES = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "iso8859_2", "koi8_r", "cp850",
    "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr",
)  # fmt: skip
"""The likelier ones first."""
_BYTEWISE = frozenset(_CODE_PAGES[:11])
"""A byte, a character."""
_USUAL = {
    "cp1250": "AL BA CZ HR HU ME PL RO RS SI SK", "cp1251": "BG BY KG KZ MK MN RU TJ UA UZ", "cp1253": "CY GR",
    "cp1254": "AZ TR", "cp1255": "IL", "cp1256": "AE BH DZ EG IQ JO KW LB LY MA OM QA SA SD SY TN YE",
    "cp1257": "EE LT LV", "shift_jis": "JP", "gb18030": "CN SG", "big5": "HK MO TW", "euc_kr": "KR",
}  # fmt: skip
"""What spreadsheets write in countries that do not write Windows-1252."""
_NO_TEXT = (
    (b"PK\x03\x04", "a workbook or an archive (xlsx, ods, zip): save the sheet as CSV, in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "a workbook of an old Excel (xls): save the sheet as CSV, in UTF-8"),
    (b"\x1f\x8b", "compressed (gzip): unpack it first"), (b"BZh", "compressed (bzip2): unpack it first"),
    (b"\xfd7zXZ", "compressed (xz): unpack it first"), (b"\x28\xb5\x2f\xfd", "compressed (zstd): unpack it first"),
    (b"%PDF-", "a PDF: get the list as CSV"), (b"SQLite format 3", "a database: get the list as CSV"),
)  # fmt: skip
_MARKUP = ((b"[", "JSON"), (b"{", "JSON"), (b"<", "HTML or XML"))
_CONTROLS = frozenset(range(9)) | frozenset(range(14, 32)) - {27}
_CONTROLS_MAX, _CONTROLS_FEW = 0.02, 20
"""Of the first bytes, and in a short file; text has hardly any."""
_SOLID_MIN = 4096
_BREAKS = frozenset(b"\r\n,;|\t")
_ALIKE = 0.01
_FALLBACK = "cp1252"

Progress = Callable[[int, int], None]


class Line(NamedTuple):
    """``number``: of the line, from 1. ``text``: with its end; of one that is too long, only its beginning."""

    number: int
    text: str
    too_long: bool = False


@valueclass(frozen=True, slots=True)
class Source:
    """A file that was looked through. ``digest``: SHA-256 of its bytes; ``guessed``: the encoding was not said, nor
    certain. ``stray``: how bytes are read that the encoding does not have, if not as U+FFFD."""

    path: Path
    encoding: str
    guessed: bool
    digest: str
    bytes: int
    stray: str = ""

    @property
    def told(self) -> str:
        """The encoding, and the other one of a mixed file."""
        return f"{self.encoding}, {self.stray}" if self.stray else self.encoding

    @property
    def strays(self) -> str:
        """What is to be said of a mixed file, if it is one."""
        if not self.stray:
            return ""
        return f"the file is not {self.encoding} throughout: what is not was read as {self.stray}; look at its names"

    def lines(self, tell: Progress | None = None) -> Iterator[Line]:
        """Its lines, however they end. What cannot be decoded becomes U+FFFD."""
        errors = _errors_as(self.stray) if self.stray else "replace"
        with self.path.open("rb") as raw, io.TextIOWrapper(raw, self.encoding, errors, newline="") as file:
            number = 0
            while text := file.readline(LINE_MAX + 1):
                number += 1
                if len(text) > LINE_MAX and not text.endswith(("\n", "\r")):
                    yield Line(number, text[:SHOWN_MAX], True)
                    while (rest := file.readline(CHUNK)) and not rest.endswith(("\n", "\r")):
                        pass
                else:
                    yield Line(number, text)
                if tell is not None and not number % 1000:
                    tell(raw.tell(), self.bytes)


def look(path: Path, encoding: str | None = None, country: str | None = None, tell: Progress | None = None) -> Source:
    """Read a file through; ``country`` (``PL``) says what encodings are likely. Raises ConfigurationError if it cannot be
    read, or not in the encoding that was said."""
    if encoding is not None:
        try:
            encoding = codecs.lookup(encoding).name
        except LookupError as error:
            raise ConfigurationError(
                f"there is no encoding {encoding!r}: write utf-8, utf-16, cp1252, iso8859-15 or leave it out"
            ) from error
    try:
        if not path.is_file():
            what = "a folder, not a file" if path.is_dir() else "no file that could be read twice"
            raise ConfigurationError(f"{path} is {what}" if path.exists() else f"there is no file {path}")
        size = path.stat().st_size
        if size > BYTES_MAX:
            raise ConfigurationError(f"{path} has more than {BYTES_MAX >> 30} GB: split it")
        with path.open("rb") as file:
            look_at = _Look(encoding, country)
            done = 0
            while data := file.read(CHUNK):
                look_at.feed(data)
                done += len(data)
                if tell is not None:
                    tell(done, size)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    found, guessed, stray = look_at.found(path)
    return Source(path, found, guessed, look_at.digest.hexdigest(), done, stray)


def _errors_as(encoding: str) -> str:
    """The name of what decodes bytes as ``encoding`` that another one does not have."""

    def stray(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeDecodeError)
        return error.object[error.start : error.end].decode(encoding, "replace"), error.end

    name = f"acd-{encoding}"
    codecs.register_error(name, stray)
    return name


class _Look:
    """What one pass over the bytes tells."""

    def __init__(self, encoding: str | None, country: str | None) -> None:
        self.digest = sha256()
        self._said, self._country = encoding, country
        self._head = b""
        self._utf8: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        self._sample = b""
        self._wrong = False
        self._decoder = codecs.getincrementaldecoder(encoding)() if encoding is not None else None

    def feed(self, data: bytes) -> None:
        self.digest.update(data)
        if len(self._head) < 4096:
            self._head += data[:4096]
        try:
            if self._decoder is not None:
                self._decoder.decode(data)
                return
            if self._utf8 is not None:
                self._utf8.decode(data)
        except UnicodeError:
            self._wrong = self._decoder is not None
            self._decoder = self._utf8 = None
        if len(self._sample) < SAMPLE_MAX and not data.isascii():
            lines = (line for line in data.splitlines() if not line.isascii())
            for line in lines:
                self._sample += line[:SHOWN_MAX] + b"\n"
                if len(self._sample) >= SAMPLE_MAX:
                    break

    def found(self, path: Path) -> tuple[str, bool, str]:
        """The encoding, whether it is a guess, and the one of what it does not have. Raises ConfigurationError for what is
        no list, or not as it was said."""
        _refuse_no_text(path, self._head)
        if self._said is not None:
            if self._wrong:
                raise ConfigurationError(
                    f"{path} is not {self._said}: give another --encoding, or none to have it found out"
                )
            return self._said, False, ""
        for mark, name in _BOMS:
            if self._head.startswith(mark):
                return name, False, self._stray() if name == "utf-8-sig" and self._utf8 is None else ""
        wide = _without_mark(self._head)
        if wide is not None:
            return wide, True, ""
        controls = sum(byte in _CONTROLS for byte in self._head)
        # A head longer than any names are, without a line's end or anything between cells
        solid = len(self._head) >= _SOLID_MIN and not _BREAKS.intersection(self._head)
        if solid or controls > max(_CONTROLS_MAX * len(self._head), _CONTROLS_FEW):
            raise ConfigurationError(f"{path} is no text: get the list as CSV")
        if self._utf8 is not None:
            try:
                self._utf8.decode(b"", True)
            except UnicodeError:
                pass
            else:
                return "utf-8", False, ""
        lines = self._lines()
        if 2 * sum(map(_is_utf8, lines)) > len(lines):
            return "utf-8", True, self._stray()
        return _likely(self._sample[:SAMPLE_MAX], self._country), True, ""

    def _lines(self) -> list[bytes]:
        """Of those that are not ASCII, the first ones."""
        return self._sample[:SAMPLE_MAX].splitlines()

    def _stray(self) -> str:
        """The encoding of lines that are not UTF-8."""
        others = b"\n".join(line for line in self._lines() if not _is_utf8(line))
        found = _likely(others, self._country)
        return found if found in _BYTEWISE else _FALLBACK


def _is_utf8(line: bytes) -> bool:
    """Whether this is UTF-8; of a longer line only its beginning is here."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(line, len(line) < SHOWN_MAX)
    except UnicodeError:
        return False
    return True


def _refuse_no_text(path: Path, head: bytes) -> None:
    for mark, what in _NO_TEXT:
        if head.startswith(mark):
            raise ConfigurationError(f"{path} is {what}")
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    for mark, what in _MARKUP:
        if text.startswith(mark):
            raise ConfigurationError(f"{path} is {what}: get the list as CSV")


def _without_mark(head: bytes) -> str | None:
    """UTF-16 without its mark: every other byte of Western text is zero."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = max(len(head) // 2, 1)
    if odd > 0.4 * half and even < 0.1 * half:
        return "utf-16-le"
    if even > 0.4 * half and odd < 0.1 * half:
        return "utf-16-be"
    return None


def _likely(sample: bytes, country: str | None) -> str:
    """Of the encodings in which the text is least of a mess: the one that makes most letters of it, the country's own, the
    one that a language speaks for, the more frequent one."""
    found = from_bytes(sample, cp_isolation=list(_CODE_PAGES), threshold=0.4)
    least = min((match.chaos for match in found), default=0.0) + _ALIKE
    own = next((page for page, there in _USUAL.items() if country in there.split()), _FALLBACK)
    ranked = [
        (-_letters(sample, name), name != own, -round(match.coherence, 2), _CODE_PAGES.index(name), name)
        for match in found
        if match.chaos <= least
        for name in {match.encoding, *match.could_be_from_charset}.intersection(_CODE_PAGES)
    ]
    return min(ranked)[-1] if ranked else own if own in _CODE_PAGES[:8] else _FALLBACK


def _letters(sample: bytes, encoding: str) -> float:
    strange = [char for char in sample.decode(encoding, "replace") if not char.isascii()]
    return round(sum(map(str.isalpha, strange)) / max(len(strange), 1), 2)
