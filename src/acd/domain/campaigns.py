"""Outbound calls in the domain's words: campaigns, trunks, caller IDs, contacts and what attempts come to.

Immutable; built by ``config`` (what the operator defined) and by lists (contacts), which check them. Times are UTC
seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

from acd.domain.dialrules import Rules
from acd.domain.expression import Expression
from acd.domain.values import valueclass

NUMBER_PLACE: Final = "{number}"
"""What stands in a trunk's ``dial`` where the number goes."""
_FIRST_TO_BEGIN: Final = timezone(timedelta(hours=14))
"""Where a day begins first."""


class Mode(StrEnum):
    """How a campaign dials: numbers that agents ask for, contacts that they accept, a line an idle agent, a fixed ratio, as
    many as the risk allows."""

    MANUAL = "manual"
    PREVIEW = "preview"
    PROGRESSIVE = "progressive"
    POWER = "power"
    PREDICTIVE = "predictive"


class CampaignState(StrEnum):
    """What people have a campaign do. ``paused``: it dials nobody, but serves whoever it has called."""

    STOPPED = "stopped"
    RUNNING = "running"
    PAUSED = "paused"


class AttemptOutcome(StrEnum):
    """What an attempt came to. ``answered``: a person who was put through to an agent; ``abandoned``: a person who was
    not; ``failed``: the trunk or Asterisk could not place it; ``unknown``: nobody learnt it, as after a crash;
    ``withdrawn``: it was recorded and never dialled, as when its campaign was paused in between: no limit counts it."""

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    MACHINE = "machine"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CONGESTION = "congestion"
    DECLINED = "declined"
    INVALID = "invalid"
    FAX = "fax"
    OPTED_OUT = "opted_out"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WITHDRAWN = "withdrawn"


class GivenUp(StrEnum):
    """Why a line was hung up before anybody answered: the campaign was to ``stop`` at once, the ``agent`` who had it
    dialled was gone, or Asterisk, which was frozen, began too ``late``."""

    STOP = "stop"
    AGENT = "agent"
    LATE = "late"


@valueclass(frozen=True, slots=True)
class Trunk:
    """The way out. ``dial``: the device, with ``{number}`` where the number goes (``PJSIP/{number}@carrier``);
    ``node``: the Asterisk it hangs on, ``None`` for the only one; ``calls_per_s`` and ``lines``: what it carries.
    ``plus``: the number is dialled with its +."""

    name: str
    dial: str
    node: str | None = None
    calls_per_s: float = 5.0
    lines: int = 30
    plus: bool = True

    def device(self, number: str) -> str:
        """What is dialled for ``number`` (E.164 with its +)."""
        return self.dial.replace(NUMBER_PLACE, number if self.plus else number.removeprefix("+"))

    @property
    def endpoint(self) -> str:
        """The PJSIP endpoint by which it goes out (``PJSIP/carrier``); empty if it is none."""
        technology, _, rest = self.dial.partition("/")
        name, slash, _ = rest.partition("/")
        if not slash:
            name = rest.rpartition("@")[2]
        return f"PJSIP/{name}" if technology.upper() == "PJSIP" and name and NUMBER_PLACE not in name else ""


@valueclass(frozen=True, slots=True)
class CallerIds:
    """A set of numbers (E.164) that calls may be shown to come from, in the operator's order. ``verified``: number ->
    the date (``2026-03-01``) on which somebody made sure that the operator has the right to it and that it is answered;
    all of them have one. ``local``: the one most like the called number is shown."""

    name: str
    numbers: tuple[str, ...]
    local: bool = True
    verified: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def usable_s(self, number: str) -> float:
        """From when on a number may be shown, UTC s: when the day of its verification begins anywhere on Earth."""
        said = self.verified.get(number, "")
        return datetime.fromisoformat(said).replace(tzinfo=_FIRST_TO_BEGIN).timestamp() if said else 0.0

    def verified_by(self, now_s: float) -> CallerIds:
        """Without the numbers whose verification is dated later than ``now_s``."""
        today = f"{datetime.fromtimestamp(now_s, _FIRST_TO_BEGIN):%Y-%m-%d}"
        if all(said <= today for said in self.verified.values()):
            return self
        return replace(self, numbers=tuple(one for one in self.numbers if self.verified.get(one, "") <= today))


@valueclass(frozen=True, slots=True)
class Retry:
    """After an attempt with one outcome: ``after_s`` later again, at most ``most`` times (0: never); each time
    ``backoff`` times as long after the last, up to ``longest_s``. ``same_number``: at the number tried, else at the
    contact's next."""

    after_s: float
    most: int
    backoff: float = 1.0
    longest_s: float = 7 * 86_400.0
    same_number: bool = True


CLASSIFIER: Final = re.compile(r"[A-Za-z0-9_.-]{1,79}", re.ASCII)
"""The name of a context of the dialplan that tells machines from people."""
KEYS: Final = "0123456789*#"
"""Those of a telephone."""
OPT_OUT_KEY: Final = "9"
RATIO: Final = 1.5
ATTEMPTS: Final = 6
NUMBER_ATTEMPTS: Final = 3
"""Where the operator says nothing."""
HOUR_S: Final = 3_600.0
USUAL_RETRIES: Final[Mapping[AttemptOutcome, Retry]] = MappingProxyType(
    {
        AttemptOutcome.BUSY: Retry(900.0, 3),
        AttemptOutcome.NO_ANSWER: Retry(4 * HOUR_S, 3, backoff=2.0, same_number=False),
        AttemptOutcome.MACHINE: Retry(6 * HOUR_S, 3, backoff=2.0, same_number=False),
        AttemptOutcome.ABANDONED: Retry(24 * HOUR_S, 1),
        AttemptOutcome.CONGESTION: Retry(600.0, 3, backoff=2.0),
        AttemptOutcome.FAILED: Retry(600.0, 3, backoff=2.0),
        AttemptOutcome.DECLINED: Retry(24 * HOUR_S, 1),
        AttemptOutcome.INVALID: Retry(0.0, 10, same_number=False),
        AttemptOutcome.FAX: Retry(0.0, 10, same_number=False),
        AttemptOutcome.UNKNOWN: Retry(24 * HOUR_S, 1),
    }
)
"""Where the operator says nothing. Who was put through or opted out is not called again."""


@valueclass(frozen=True, slots=True)
class Mix:
    """How work is shared out when there is some of every kind: parts of personal callbacks that are due, of callers who
    asked for one while they waited, of retries, of new contacts. A kind of weight 0 is dialled when there is no
    other."""

    callbacks: float = 100.0
    queue_callbacks: float = 20.0
    retries: float = 2.0
    new: float = 1.0


class Effect(StrEnum):
    """What an agent's word for a call means for whom was called. ``done``: nothing more; ``again``: a call some time later;
    ``wrong_number``: that number is not this person's; ``opt_out``: no call any more; ``machine``: it was no person, but
    a machine."""

    DONE = "done"
    AGAIN = "again"
    WRONG_NUMBER = "wrong_number"
    OPT_OUT = "opt_out"
    MACHINE = "machine"


@valueclass(frozen=True, slots=True)
class Disposition:
    """What follows when a call is said to have come to this. ``after_s`` of ``again``."""

    effect: Effect
    after_s: float = 0.0


def machine_words_of(dispositions: Mapping[str, Disposition]) -> frozenset[str]:
    """What agents call a machine."""
    return frozenset(word for word, one in dispositions.items() if one.effect is Effect.MACHINE)


class Lapse(StrEnum):
    """What follows when an agent does nothing about a contact he was shown."""

    DIAL = "dial"
    SKIP = "skip"
    PAUSE = "pause"


@valueclass(frozen=True, slots=True)
class PreviewTerms:
    """How contacts are shown to agents: for ``look_s``, ``then`` what; one that was skipped comes back ``again_s`` later.
    ``script``: what the agent reads with it."""

    look_s: float = 60.0
    then: Lapse = Lapse.PAUSE
    again_s: float = HOUR_S
    script: str = ""


@valueclass(frozen=True, slots=True)
class Campaign:
    """What is dialled, how, and by whose rules. ``queue``: whose agents serve it (empty: those of no queue); ``agents``:
    only these of them, or these; ``need``: what is asked of their skills, instead of what the queue asks; ``script``: what
    they read. ``trunk``, ``caller_ids``, ``hours``: names of the floor's, ``hours=None``: whenever the rules allow.
    ``lists``: names of contact lists. ``profile``: whose ``rules`` these are; ``changed``: the figures that the operator
    changed.

    ``ratio`` of mode power; ``ring_s``: when a line is given up; ``connect_s``: when a person who has answered is
    abandoned; ``message``: what that person hears then (a sound as Playback names it); ``opt_out_key``: opts out while
    it is heard, and before; ``amd``: machines are told from people, within ``amd_s``, by Asterisk's AMD or by the context
    ``classifier`` of the dialplan; ``machine_message``: what is left on a machine. ``attempts``: at a contact,
    ``number_attempts``: at one number, in this campaign. ``priority``: before campaigns of a lower one; ``weight``: the
    share among those of the same. ``preview`` belongs to mode preview. ``dispositions``: words for what a call came to, and
    what follows; ``amd_audit``: the share of lines found to be machines' that is put through all the same, to learn how
    many of them are people.
    """

    name: str
    mode: Mode
    queue: str
    trunk: str
    caller_ids: str
    rules: Rules
    lists: tuple[str, ...] = ()
    profile: str = "strict"
    changed: tuple[str, ...] = ()
    hours: str | None = None
    zone: str = "UTC"
    client: str | None = None
    ratio: float = RATIO
    ring_s: float = 25.0
    connect_s: float = 2.0
    message: str | None = None
    opt_out_key: str = OPT_OUT_KEY
    amd: bool = False
    amd_s: float = 5.0
    classifier: str = ""
    machine_message: str | None = None
    attempts: int = ATTEMPTS
    number_attempts: int = NUMBER_ATTEMPTS
    retries: Mapping[AttemptOutcome, Retry] = field(default_factory=lambda: USUAL_RETRIES)
    mix: Mix = Mix()
    priority: int = 0
    weight: float = 1.0
    preview: PreviewTerms = PreviewTerms()
    agents: tuple[str, ...] = ()
    need: Expression | None = None
    script: str = ""
    dispositions: Mapping[str, Disposition] = field(default_factory=lambda: MappingProxyType({}))
    amd_audit: float = 0.0


NumberKind = Literal["mobile", "landline", "voip", "work", "other"]


@valueclass(frozen=True, slots=True)
class ContactNumber:
    """One number of a contact, E.164 (``+49...``). ``zone``: the place's time zone if the number or the list says it.
    ``extension``: whom to ask for there; it is not dialled."""

    number: str
    kind: NumberKind = "other"
    zone: str | None = None
    extension: str = ""


@valueclass(frozen=True, slots=True)
class Contact:
    """A person of a list; ``contact`` is the record's number, ``key`` the operator's own name for it. ``numbers`` in
    the order in which they are to be tried. ``zone``: where the person is (counts before what the numbers say).
    ``country``: ISO 3166 (``DE``), ``region``: its part there (``BY``), for public holidays.

    ``consent_at``, ``consent_until``: when consent to be called was given, and when it ends (``None``: until
    withdrawn). ``customer_until``: when the person ceased, or will cease, to be a customer; ``None``: never was one.
    ``best``: minutes of the day (where the person is) at which calls are welcome. ``fields``: what else the list says.
    """

    contact: int
    list: str
    key: str
    name: str
    numbers: tuple[ContactNumber, ...]
    zone: str | None = None
    country: str | None = None
    region: str | None = None
    language: str | None = None
    consent_at: float | None = None
    consent_until: float | None = None
    customer_until: float | None = None
    best: tuple[int, int] | None = None
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
