"""An attempt as the headers of Originate. Text only; whatever comes from lists is hostile.

Asterisk splits ``Variable`` at commas and heeds quotes and backslashes in it (main/manager.c), takes ``NAME(...)`` for a
function to be written, and reads the caller ID as ``"name" <number>`` into 256 bytes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from acd.domain.campaignlines import SILENCE
from acd.domain.campaigns import CLASSIFIER
from acd.domain.commands import CallLine
from acd.domain.devices import proper_device
from acd.domain.errors import MisuseError
from acd.domain.outbound import ATTEMPT, CONNECT_MARGIN_S, LEG, CallAgent, PlaceAttempt

CONTEXT, DESK_CONTEXT, LINE_CONTEXT = "acd-out", "acd-desk", "acd-line"
MAX_NAME_BYTES = 60
MAX_VARIABLES = 40
MAX_RING_S = 300.0
MAX_CONNECT_S = 60.0
MAX_DESK_S = 600.0

_NUMBER = re.compile(r"\+?[0-9]{1,20}", re.ASCII)
_SOUND = re.compile(r"[A-Za-z0-9_./&:-]{1,200}", re.ASCII)
_KEY = re.compile(r"[0-9*#]", re.ASCII)
_VARIABLE = re.compile(r"_{0,2}[A-Za-z][A-Za-z0-9_]{0,60}", re.ASCII)
_UNPRINTABLE = re.compile(r"[\r\n\0]")
_LINE = re.compile(r"line[0-9]{14}", re.ASCII)
_AGENT = re.compile(r"[a-z0-9_-]{1,40}", re.ASCII)
_MUSIC = re.compile(r"[A-Za-z0-9_.-]{1,80}", re.ASCII)
_SPECIAL = re.compile(r'([\\",()\[\]])')

_SHORT_S, _USUAL_S = 2.5, 5.0
_AMD_WORDS = "120,50,3,256,1500"
"""Shortest word, silence between words (ms), words of a person's greeting at most, threshold of silence, longest word."""


def originate_fields(command: PlaceAttempt) -> list[tuple[str, str]]:
    """The headers of Originate for ``command``. Raises MisuseError, naming what is wrong, for what cannot be dialled."""
    if not ATTEMPT.fullmatch(command.attempt):
        raise MisuseError(f"{command.attempt!r:.40} is no attempt's id: 14 digits")
    device = proper_device(command.device)
    if device is None:
        raise MisuseError(
            f"{command.device!r:.120} is no device that can be dialled, such as PJSIP/+4930123456@carrier"
        )
    if not 1.0 <= command.ring_s <= MAX_RING_S:
        raise MisuseError(f"ring_s is from 1 to {MAX_RING_S:g} s, not {command.ring_s:g}")
    if not 0.0 <= command.connect_s <= MAX_CONNECT_S:
        raise MisuseError(f"connect_s is from 0 to {MAX_CONNECT_S:g} s, not {command.connect_s:g}")
    shown = caller_id(command.caller_name, command.caller_id)
    return [
        *_line(device, CONTEXT, command.attempt, command.ring_s, shown),
        *(("Variable", f"{name}={_SPECIAL.sub(_BACKSLASHED, value)}") for name, value in variables_of(command).items()),
    ]


def agent_fields(command: CallAgent) -> list[tuple[str, str]]:
    """The headers of Originate for an agent's own line. Raises MisuseError, naming what is wrong."""
    if not LEG.fullmatch(command.attempt):
        raise MisuseError(f"{command.attempt!r:.40} is no id of an agent's line: 14 digits, the seventh a 9")
    device = proper_device(command.device)
    if device is None:
        raise MisuseError(f"{command.device!r:.120} is no phone that can be rung, such as PJSIP/1001")
    if not 1.0 <= command.ring_s <= MAX_RING_S or not 1.0 <= command.wait_s <= MAX_DESK_S:
        raise MisuseError(f"an agent's phone rings for 1 to {MAX_RING_S:g} s and waits for 1 to {MAX_DESK_S:g} s")
    shown = caller_id(command.caller_name, command.caller_id)
    return [
        *_line(device, DESK_CONTEXT, command.attempt, command.ring_s, shown),
        ("Variable", f"acd_desk_s={command.wait_s:g}"),
        *((("Variable", header) for header in _AUTO_ANSWER) if command.auto_answer else ()),
    ]


def line_fields(command: CallLine) -> list[tuple[str, str]]:
    """The headers of Originate for an agent's lasting line. Raises MisuseError, naming what is wrong."""
    device = proper_device(command.device)
    if device is None:
        raise MisuseError(f"{command.device!r:.120} is no phone that can be called, such as PJSIP/1001")
    for value, pattern in ((command.line, _LINE), (command.agent, _AGENT), (command.music, _MUSIC)):
        if not pattern.fullmatch(value):
            raise MisuseError(f"a lasting line cannot be called for with {value!r:.100}")
    if not 1.0 <= command.ring_s <= MAX_RING_S:
        raise MisuseError(f"ring_s is from 1 to {MAX_RING_S:g} s, not {command.ring_s:g}")
    return [
        *_line(device, LINE_CONTEXT, command.line, command.ring_s, caller_id("acd", command.number)),
        ("Variable", f"acd_agent={command.agent}"),
        *((("Variable", f"acd_hold={command.music}"),) if command.music != SILENCE else ()),
        *((("Variable", header) for header in _AUTO_ANSWER) if command.auto_answer else ()),
    ]


def _line(device: str, context: str, identity: str, ring_s: float, shown: str) -> list[tuple[str, str]]:
    return [
        ("Channel", device),
        ("Context", context),
        ("Exten", "s"),
        ("Priority", "1"),
        ("Async", "true"),
        ("Timeout", str(round(ring_s * 1000))),
        ("ChannelId", identity),
        ("CallerID", shown),
    ]


_AUTO_ANSWER = (
    "PJSIP_HEADER(add,Call-Info)=<sip:127.0.0.1>\\;answer-after=0",
    "PJSIP_HEADER(add,Alert-Info)=<http://127.0.0.1>\\;info=alert-autoanswer",
)
"""What acd-auto-answer of the dialplan says to a phone."""
_BACKSLASHED = r"\\\1"


def variables_of(command: PlaceAttempt) -> dict[str, str]:
    """The channel variables of an attempt: those of acd-out, then the campaign's own. Raises MisuseError."""
    for sound in (command.message, command.machine_message):
        if sound and not _SOUND.fullmatch(sound):
            raise MisuseError(f"{sound!r:.80} is no sound: letters, digits and _./&:- only, up to 200")
    if command.opt_out_key and not _KEY.fullmatch(command.opt_out_key):
        raise MisuseError(f"{command.opt_out_key!r:.20} is no key to opt out with: one of 0-9 * #")
    values = {
        "acd_connect": f"{command.connect_s:g}",
        "acd_margin": f"{CONNECT_MARGIN_S:g}",
        "acd_message": command.message,
        "acd_key": command.opt_out_key,
        # Never empty: Dial would take a key for an extension of the context it is run in
        "EXITCONTEXT": f"acd-key-{command.opt_out_key}",
    }
    if command.amd and command.classifier:
        if not CLASSIFIER.fullmatch(command.classifier) or not 0.1 <= command.amd_s <= 20.0:
            raise MisuseError(f"{command.classifier!r:.80} is no context that says who answered, in 0.1 to 20 s")
        values |= {"acd_classifier": command.classifier, "acd_amd_s": f"{command.amd_s:g}"}
    elif command.amd:
        values["acd_amd"] = amd_arguments(command.amd_s)
        values["acd_amd_s"] = f"{command.amd_s + 1.0:g}"
    if command.amd:
        values["acd_machine"] = command.machine_message
    values |= _own(command.variables)
    return {name: value for name, value in values.items() if value}


def _own(variables: Mapping[str, str]) -> dict[str, str]:
    if len(variables) > MAX_VARIABLES:
        raise MisuseError(f"{len(variables)} variables; the most is {MAX_VARIABLES}")
    for name, value in variables.items():
        bare = name.lstrip("_")
        if not _VARIABLE.fullmatch(name) or bare.lower().startswith("acd_") or bare.upper() == "EXITCONTEXT":
            raise MisuseError(
                f"{name!r:.60} cannot be a variable of a campaign: a plain name, not acd_* or EXITCONTEXT"
            )
        if _UNPRINTABLE.search(value):
            raise MisuseError(f"the variable {name} holds a CR, LF or NUL")
    return dict(variables)


def amd_arguments(amd_s: float) -> str:
    """What AMD() is told so that it is done within ``amd_s``: its own defaults from 5 s on, and at 2.5 s what told people
    from machines in half that time; in between, in between."""
    if not 1.0 <= amd_s <= 20.0:
        raise MisuseError(f"amd_s is from 1 to 20 s, not {amd_s:g}")
    part = min(max((amd_s - _SHORT_S) / (_USUAL_S - _SHORT_S), 0.0), 1.0)
    initial, greeting, after = (
        round(low + part * (high - low)) for low, high in ((1500, 2500), (800, 1500), (300, 800))
    )
    total = round(amd_s * 1000)
    return f"{min(initial, round(total * 0.6))},{min(greeting, round(total * 0.6))},{after},{total},{_AMD_WORDS}"


def caller_id(name: str, number: str) -> str:
    """``"name" <number>`` as Asterisk reads it. Of the name, only what can be shown. Raises MisuseError for the number."""
    if not _NUMBER.fullmatch(number):
        raise MisuseError(f"{number!r:.40} is no number that a call can be shown to come from")
    shown = shown_name(name)
    return f'"{shown}" <{number}>' if shown else f"<{number}>"


def shown_name(name: str) -> str:
    """A name without quotes, brackets, backslashes and what does not print, of 60 bytes at most."""
    clean = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in name)
    plain = " ".join(re.sub(r'[\\"<>;%$]', "", clean).split())
    return plain.encode(errors="replace")[:MAX_NAME_BYTES].decode(errors="ignore").rstrip()
