"""Whether an Asterisk is one that we can work with: its version, modules and dialplan, and what its manager lets us do.

Asked over both users' sessions at the start of each connection. What is missing is named, all of a kind at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from acd.asterisk.ami.session import AmiSession
from acd.domain.errors import AsteriskUnsuitableError

OLDEST = (20, 11)
NEEDED_MODULES = (
    "app_dial",
    "app_playback",
    "app_playtones",
    "app_read",
    "app_userevent",
    "app_verbose",
    "res_agi",
    "res_musiconhold",
    "func_callerid",
    "func_strings",
    "func_logic",
    "func_timeout",
    "func_global",
    "func_dialplan",
)
OUTBOUND_MODULES = ("func_db",)
NEEDED_CONTEXTS = (
    *("acd-inbound", "acd-arrive", "acd-register", "acd-hold", "acd-offer", "acd-after", "acd-leave"),
    *("acd-agent", "acd-agent-ask"),
)
LASTING_CONTEXTS = ("acd-line",)
OUTBOUND_CONTEXTS = ("acd-out", "acd-wait", "acd-connect", "acd-message", "acd-desk")
TO_CALL = {"Getvar": "call", "Setvar": "call", "Redirect": "call", "Hangup": "call"}
TO_LOOK = {
    "CoreSettings": "reporting",
    "CoreShowChannels": "reporting",
    "DeviceStateList": "reporting",
    "Getvar": "reporting",
}
TO_DIAL = {"Originate": "originate"}
"""What each user's ``write`` must allow: action -> class."""


class RightsMissingError(AsteriskUnsuitableError):
    """A manager user may not do what we need. What he may is settled when he logs in."""


async def check_rights(session: AmiSession, user: str, needed: Mapping[str, str]) -> None:
    """Raise RightsMissingError unless the session's user may do what is ``needed``."""
    answer = await session.send("ListCommands")
    # Whoever is logged in may ping: without it, this is no list of what he may do
    if "Ping" not in answer:
        return
    missing = [action for action in needed if action not in answer]
    if missing:
        rights = ", ".join(dict.fromkeys(needed[action] for action in missing))
        raise RightsMissingError(
            f"the manager user {user} may not do {', '.join(missing)}: add {rights} to its write= in manager_acd.conf, and "
            "run `manager reload`; it holds from its next log-in on"
        )


async def version_of(session: AmiSession) -> str:
    """Asterisk's version. Raises AsteriskUnsuitableError if it is too old."""
    settings = await session.action("CoreSettings")
    version = settings.get("AsteriskVersion", "")
    match = re.match(r"(?:GIT-|certified[-/])?(\d+)\.(\d+)", version)
    if match is None or (int(match[1]), int(match[2])) < OLDEST:
        raise AsteriskUnsuitableError(
            f"Asterisk {version} is too old: acd needs {OLDEST[0]}.{OLDEST[1]} or newer (tested with 22)"
        )
    return version


async def check_parts(session: AmiSession, *, outbound: bool, lasting: bool = False) -> None:
    """Raise AsteriskUnsuitableError for modules or contexts that are not there."""
    missing = []
    for module in (*NEEDED_MODULES, *(OUTBOUND_MODULES if outbound else ())):
        answer = await session.send("Getvar", (("Variable", f"IFMODULE({module}.so)"),))
        if answer.get("Value") == "0":
            missing.append(module)
    if missing:
        raise AsteriskUnsuitableError(
            f"Asterisk lacks {', '.join(missing)}: load them (modules.conf), or install the package that has them"
        )
    absent = []
    contexts = (*NEEDED_CONTEXTS, *(OUTBOUND_CONTEXTS if outbound else ()), *(LASTING_CONTEXTS if lasting else ()))
    for context in contexts:
        answer = await session.send("Getvar", (("Variable", f"DIALPLAN_EXISTS({context})"),))
        if answer.get("Value") != "1":
            absent.append(context)
    if absent:
        raise AsteriskUnsuitableError(
            f"the dialplan has no {', '.join(absent)}: #include extensions_acd.conf and run `dialplan reload`"
        )
