"""The grammar of an Asterisk device, the one place that says what may be written into Dial().

Strict, because the dialplan evaluates what is dialled: no ``&``, ``|``, comma, quote, ``$``, brace or parenthesis.
"""

from __future__ import annotations

import re

DEVICE = re.compile(r"([A-Za-z][A-Za-z0-9]{0,19})/([A-Za-z0-9_.@+-]{1,79})", re.ASCII)
TECHNOLOGIES = ("PJSIP", "IAX2", "DAHDI", "SCCP", "Skinny", "UniMRCP", "Local")


def proper_device(text: str) -> str | None:
    """``text`` as a device, its technology spelled as Asterisk spells it; None if it is none."""
    match = DEVICE.fullmatch(text)
    if match is None:
        return None
    technology, name = match.groups()
    return f"{next((t for t in TECHNOLOGIES if t.lower() == technology.lower()), technology)}/{name}"
