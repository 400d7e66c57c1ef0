"""The users of this machine, as the audit log names them. Beside the rooms, for all that do IO: it imports none of them."""

from __future__ import annotations

import pwd


def user_of(uid: int) -> str:
    """``user:anna``, or ``uid:1234`` for one without a name."""
    try:
        return f"user:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"uid:{uid}"
