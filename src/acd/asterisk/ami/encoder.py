"""The one place where an action becomes bytes, and the only guard against header injection.

Asterisk ends a line at CR LF and also at a bare LF, has a line buffer of 1,024 bytes, CR LF included (so 1,023 bytes of
text are "too long" to it), and keeps 128 headers (main/manager.c: ``get_input``, ``struct message``). What would be
cut, split or dropped there is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from acd.domain.errors import MisuseError

Fields = Sequence[tuple[str, str]]
"""Headers of an action in order; a name may repeat (``Variable``)."""

MAX_LINE_BYTES = 1022
MAX_HEADERS = 120

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_FORBIDDEN = re.compile(r"[\r\n\0]")


def encode(action: str, fields: Fields) -> bytes:
    """The bytes of one action, closing empty line included, in UTF-8 (lone surrogates become ``?``).

    Raises MisuseError, naming action and header but never the value (it may be a secret), for CR, LF or NUL anywhere,
    an empty or impossible header name, an ``Action`` given twice, a line over 1,022 bytes or more than 120 headers.
    """
    if len(fields) + 1 > MAX_HEADERS:
        raise MisuseError(f"AMI action {action!r:.60} has {len(fields) + 1} headers; the most is {MAX_HEADERS}")
    if not _NAME.fullmatch(action):
        raise MisuseError(f"{action!r:.60} cannot be the name of an AMI action: letters, digits, '_' and '-' only")
    lines = [b"Action: " + action.encode("ascii")]
    for name, value in fields:
        if not _NAME.fullmatch(name) or name.lower() == "action":
            raise MisuseError(f"AMI action {action}: {name!r:.60} cannot be the name of a header")
        if _FORBIDDEN.search(value):
            raise MisuseError(f"AMI action {action}: header {name} holds a CR, LF or NUL; remove it before sending")
        line = f"{name}: {value}".encode(errors="replace")
        if len(line) > MAX_LINE_BYTES:
            raise MisuseError(
                f"AMI action {action}: header {name} makes a line of {len(line)} bytes; Asterisk reads {MAX_LINE_BYTES}"
            )
        lines.append(line)
    return b"\r\n".join(lines) + b"\r\n\r\n"
