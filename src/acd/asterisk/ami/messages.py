"""One message of the manager interface as a plain dictionary.

Parsing only: no bytes (``protocol`` cuts and decodes them), no meaning (whoever translates events gives them that).
Fast, because every event of the PBX may come through here.
"""

from __future__ import annotations

import re

Message = dict[str, str]
"""Header -> value, names spelled as Asterisk spells them.

A header that carries a channel variable is keyed by it: ``ChanVariable: acd_call=7`` becomes
``"ChanVariable(acd_call)": "7"``, likewise ``DestChanVariable``, ``Variable`` and whatever else ends so, also in the
spelling ``ChanVariable(PJSIP/x-1): acd_call=7`` that multi-channel events use. Any other header that repeats has its
values joined by a line feed. A missing header is a KeyError, never an empty string.

Asterisk escapes some values like C text (main/manager_channels.c): those of ``ChanVariable`` are taken back here, where
the spelling says whether they are escaped. CallerIDName and ConnectedLineName are escaped too in the events of
channels and in CoreShowChannel, not in OriginateResponse: who reads them knows the event and calls ``unescape``.
"""

_ESCAPED = re.compile(r"\\([abfnrtv\\'\"?])")
_MEANING = dict(zip("abfnrtv\\'\"?", "\a\b\f\n\r\t\v\\'\"?", strict=True))


def parse_message(block: str) -> tuple[Message, int]:
    """Parse one message, given without its closing empty line; also returns how many of its lines were malformed.

    Never raises. ``Name: value``, ``Name:value`` and ``Name:`` are all understood. A line without a colon counts as
    malformed and is appended to the header before it, after a line feed (without one: under the empty name).
    """
    message: Message = {}
    malformed = 0
    for line in block.split("\r\n"):
        name, separator, value = line.partition(": ")
        if "Variable" in name and separator:
            variable, equals, content = value.partition("=")
            if not equals:
                _put(message, name, value)
            elif name[-1] == ")":
                message[f"{name.partition('(')[0]}({variable})"] = content
            elif "\\" in content and name.endswith("ChanVariable"):
                message[f"{name}({variable})"] = unescape(content)
            else:
                message[f"{name}({variable})"] = content
        elif separator and name not in message:
            message[name] = value
        elif separator:
            _put(message, name, value)
        elif line:
            malformed += _put_irregular(message, line)
    return message, malformed


def unescape(value: str) -> str:
    """Undo Asterisk's ``ast_escape_c``: ``O\\'Brien`` becomes ``O'Brien``. A backslash before anything else stays."""
    return _ESCAPED.sub(lambda match: _MEANING[match[1]], value) if "\\" in value else value


def _put(message: Message, name: str, value: str) -> None:
    before = message.get(name)
    message[name] = value if before is None else f"{before}\n{value}"


def _put_irregular(message: Message, line: str) -> int:
    name, separator, value = line.partition(":")
    if separator:
        _put(message, name, value)
        return 0
    last = next(reversed(message), "")
    _put(message, last, line)
    return 1
