"""What the core is told and what it asks for, besides the words of `acd.domain.outbound`. Frozen; times are UTC seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal, NamedTuple

from acd.dialer.blending import Counts
from acd.dialer.gate import Terms
from acd.dialer.retry import Other
from acd.dialer.work import Kind, Piece
from acd.domain.blending import Blend
from acd.domain.campaigns import AttemptOutcome, CampaignState, Contact, GivenUp
from acd.domain.detection import Detected
from acd.domain.outbound import OutboundCommand
from acd.domain.states import AgentState
from acd.domain.values import valueclass

Stage = Literal["idle", "talking", "wrapping", "engaged"]
"""``engaged``: he looks at a contact or dials, and his phone is free; with a phone in use, ``talking``."""

Mark = tuple[int, int]
"""Rank and number of a new contact: how far a list was looked through."""


@valueclass(frozen=True, slots=True)
class Seat:
    """An agent who is there: which campaigns he serves, what he does, since when. ``queues``: those he serves that may
    take agents from campaigns. ``lasting``: he has a lasting line, and his phone need not be rung."""

    agent: str
    lines: tuple[str, ...]
    stage: Stage
    since_s: float
    queues: tuple[str, ...] = ()
    lasting: bool = False


@valueclass(frozen=True, slots=True)
class Tried:
    """An earlier attempt at a contact in this campaign."""

    number: str
    outcome: AttemptOutcome | None


@valueclass(frozen=True, slots=True)
class Ready:
    """A contact that this life has claimed, with what the gate asks of the past, as it was at ``read_s``. Fields as those
    of the gate's Facts; ``tried``: in this campaign, oldest first; ``zones`` by number; ``note``: what a callback is for;
    ``made``: for this very dial, nobody knew of him before; ``wished``: an agent asks for this very dial."""

    piece: Piece
    read_s: float
    zones: Mapping[str, tuple[str, ...]]
    number_s: tuple[float, ...] = ()
    contact_s: tuple[float, ...] = ()
    tried: tuple[Tried, ...] = ()
    number_attempts: int = 0
    do_not_call: tuple[str, ...] = ()
    abandoned_s: float | None = None
    served_s: float | None = None
    callback: int | None = None
    latest_s: float | None = None
    note: str = ""
    made: bool = False
    others: tuple[Other, ...] = ()
    wished: bool = False

    @property
    def contact(self) -> Contact:
        """Whom."""
        return self.piece.contact


@valueclass(frozen=True, slots=True)
class Counted:
    """The counts of one window of a ledger. ``key``: which of its kind."""

    span: str
    key: int
    answered: float
    abandoned: float
    misjudged: float
    unknown: float
    in_flight: int


# -- told ------------------------------------------------------------------------------------------------------------


@valueclass(frozen=True, slots=True)
class Told:
    """Base of what the core is told."""


@valueclass(frozen=True, slots=True)
class Defined(Told):
    """These campaigns there are from now on, with their terms. ``nodes``: every node there is. ``blends``: by queue, what it
    takes from campaigns."""

    terms: tuple[Terms, ...]
    nodes: tuple[str, ...]
    blends: Mapping[str, Blend] = field(default_factory=dict)


@valueclass(frozen=True, slots=True)
class Remembered(Told):
    """What is known of a campaign from earlier lives. ``statistics``: as the core gave it."""

    campaign: str
    state: CampaignState
    since_s: float
    by: str
    reason: str
    statistics: Mapping[str, Any]
    windows: tuple[Counted, ...]
    latest_s: float | None = None


@valueclass(frozen=True, slots=True)
class Left(Told):
    """An attempt of an earlier life that nobody has settled. ``contact`` is None if it is no longer there; ``charged``: the
    ledger has charged it then, as one that the database would not let be settled."""

    attempt: str
    campaign: str
    contact: Contact | None
    contact_id: int
    number: str
    node: str
    trunk: str
    committed_s: float
    answered_s: float | None = None
    agent: str | None = None
    tried: tuple[Tried, ...] = ()
    charged: bool = False
    said: str | None = None


@valueclass(frozen=True, slots=True)
class HeardBefore(Told):
    """Who opted out in an earlier life, which could not make it durable."""

    opt_outs: tuple[OptOut, ...]


@valueclass(frozen=True, slots=True)
class StateSet(Told):
    """Somebody has a campaign run, pause or stop; durable already. ``now``: lines that ring are hung up too."""

    campaign: str
    state: CampaignState
    by: str
    reason: str
    now: bool = False


@valueclass(frozen=True, slots=True)
class Claimed(Told):
    """The answer to Claim: contacts, or None if the store could not be asked. ``calls_today``, ``short_today`` as the
    gate's, as they were at ``counted_s``. ``more``: there may be more that are due; if there is nothing, ``due_s`` says when
    the next is (None: none ever), and ``missing`` which lists are not there. ``detected``: what machine detection was found
    to do lately; ``past``: by list, how far new contacts were looked through past those at places that are shut."""

    campaign: str
    found: tuple[Ready, ...] | None
    more: bool = True
    calls_today: int = 0
    short_today: int = 0
    counted_s: float = float("inf")
    due_s: float | None = None
    missing: tuple[str, ...] = ()
    detected: Detected | None = None
    past: Mapping[str, Mark] = field(default_factory=dict)


@valueclass(frozen=True, slots=True)
class Written(Told):
    """A batch is durable. ``recorded``: attempts that may be dialled now; ``refused``: numbers that are not to be called
    since; ``unclaimed``: attempts at contacts that are no longer ours; ``aside``: what never will be; ``changed``: attempts
    at contacts that are not what the gate judged any more, and were given back."""

    recorded: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    unclaimed: tuple[str, ...] = ()
    aside: SetAside | None = None
    changed: tuple[str, ...] = ()


@valueclass(frozen=True, slots=True)
class SetAside:
    """What the database refuses for good of a batch, ``why`` in its words, and ``where`` it is kept, in ours."""

    what: Batch
    why: str
    where: str


@valueclass(frozen=True, slots=True)
class NotWritten(Told):
    """Nobody knows whether a batch is durable: nothing in it is dialled, everything in it is said again."""

    batch: Batch
    why: str


@valueclass(frozen=True, slots=True)
class CallBegan(Told):
    """An attempt is a call of the floor's now."""

    attempt: str
    call: str


@valueclass(frozen=True, slots=True)
class CallConnected(Told):
    """The call of an attempt has an agent."""

    call: str
    agent: str
    at_s: float


@valueclass(frozen=True, slots=True)
class CallGone(Told):
    """The call of an attempt is over, or was sent away."""

    call: str
    at_s: float
    sent_away: bool


@valueclass(frozen=True, slots=True)
class AgentTurned(Told):
    """An agent's interval began."""

    agent: str
    at_s: float
    state: AgentState
    call: str | None


@valueclass(frozen=True, slots=True)
class Engaged(Told):
    """The answer to Engage: whether the agent is kept free of calls now; if not, why."""

    agent: str
    ok: bool
    why: str = ""


@valueclass(frozen=True, slots=True)
class Chose(Told):
    """An agent has the contact he was shown dialled, or skips it. ``do_not_call``: what keeps it from being called by
    now."""

    agent: str
    accepts: bool
    reason: str = ""
    do_not_call: tuple[str, ...] = ()


@valueclass(frozen=True, slots=True)
class Wished(Told):
    """An agent wants this contact dialled for a campaign, which was claimed for it."""

    agent: str
    campaign: str
    ready: Ready


@valueclass(frozen=True, slots=True)
class Past:
    """An attempt that is over. ``tried``: the other attempts at its contact in this campaign, oldest first; ``outcome``:
    what it came to, with an ``agent`` if there was one, who answered at ``answered_s``; ``said``: the word for it so
    far."""

    campaign: str
    contact: Contact | None
    number: str
    tried: tuple[Tried, ...] = ()
    outcome: AttemptOutcome | None = None
    answered_s: float | None = None
    agent: str | None = None
    said: str | None = None


@valueclass(frozen=True, slots=True)
class Disposed(Told):
    """An agent says what the call of an attempt came to; empty: what was said is taken back. ``past``: None while it is in
    flight."""

    attempt: str
    word: str
    past: Past | None = None


@valueclass(frozen=True, slots=True)
class Look(Told):
    """The moment to decide. ``seats``: agents who are there; ``lag_s``: how late the event loop is. ``queues``: how those of
    ``Defined.blends`` are. ``engaged``: agents who are kept free of calls."""

    seats: tuple[Seat, ...]
    lag_s: float = 0.0
    queues: Mapping[str, Counts] = field(default_factory=dict)
    engaged: tuple[Seat, ...] = ()


# -- asked for -------------------------------------------------------------------------------------------------------


@valueclass(frozen=True, slots=True)
class Do:
    """Carry out a command on the wire."""

    command: OutboundCommand


class Place(NamedTuple):
    """Where somebody is, as far as calling hours go. ``zones``: as the gate's `zones_of`."""

    zones: tuple[str, ...]
    country: str | None
    region: str | None


@valueclass(frozen=True, slots=True)
class Claim:
    """Claim up to so many contacts of each kind for a campaign. ``agents``: whose personal callbacks. ``anew``: those that
    were put off by a clock that was ahead are due before; ``rules``: those put off, or blocked, by rules, too, for they are
    others now. ``shut``: places where nobody may be called now, ``past``: by list, the new contact that new ones come
    after; without them, all that are due."""

    campaign: str
    wanted: Mapping[Kind, int]
    agents: tuple[str, ...]
    anew: bool = False
    rules: bool = False
    shut: frozenset[Place] = frozenset()
    past: Mapping[str, Mark] = field(default_factory=dict)


@valueclass(frozen=True, slots=True)
class KeepOptOut:
    """Keep it beside the database, until that has it."""

    opt_out: OptOut


@valueclass(frozen=True, slots=True)
class Alarm:
    """A person should know."""

    kind: str
    detail: str


@valueclass(frozen=True, slots=True)
class Engage:
    """Keep an agent free of calls while he does ``what`` (``shown``, ``dialling``); ``None``: no longer. Answered by
    Engaged, unless that is over."""

    agent: str
    what: str | None


@valueclass(frozen=True, slots=True)
class Pause:
    """An agent is not there: pause him."""

    agent: str


@valueclass(frozen=True, slots=True)
class RingAgent:
    """Ring an agent's phone with the line ``leg``, showing whom he is to talk to."""

    agent: str
    node: str
    leg: str
    number: str
    name: str


@valueclass(frozen=True, slots=True)
class Forget:
    """Take a contact away that was made for a dial which came to nothing."""

    contact: int


Action = Do | Claim | KeepOptOut | Alarm | Engage | Pause | RingAgent | Forget


@valueclass(frozen=True, slots=True)
class Made:
    """An attempt to be made durable before it is dialled. ``facts``: what the gate saw; ``judged``: of whom."""

    attempt: str
    campaign: str
    contact: int
    number: str
    mode: str
    caller_id: str
    trunk: str
    node: str
    callback: int | None
    client: str | None
    facts: Mapping[str, Any]
    judged: Contact | None = None


@valueclass(frozen=True, slots=True)
class Ended:
    """What an attempt came to. ``due_s``: when the contact is to be tried again, at ``number``; None: ``blocked`` or
    done."""

    attempt: str
    outcome: AttemptOutcome
    ended_s: float
    due_s: float | None
    number: str | None = None
    blocked: bool = False
    dialled_s: float | None = None
    rang_s: float | None = None
    answered_s: float | None = None
    cause: int | None = None
    call: str | None = None
    agent: str | None = None
    message: str | None = None
    verdict: str | None = None
    given_up: GivenUp | None = None


@valueclass(frozen=True, slots=True)
class Said:
    """What agents say of an attempt that is over. ``outcome``: what it came to after all; ``due_s``: when the contact is
    tried again, at ``number``; ``done``: never; neither: that stays as it is. ``bad``: the attempt's number is not the
    contact's; ``good``: it is after all."""

    attempt: str
    word: str
    outcome: AttemptOutcome | None = None
    due_s: float | None = None
    number: str | None = None
    done: bool = False
    bad: bool = False
    good: bool = False


@valueclass(frozen=True, slots=True)
class OptOut:
    """A number that is not to be called again; empty, that of the attempt. ``scope`` as do-not-call's."""

    number: str
    scope: str
    attempt: str
    at_s: float


@valueclass(frozen=True, slots=True)
class Refused:
    """What the gate said of a contact that is given back or up: its word, when, and the contact as it was judged."""

    reason: str
    at_s: float
    contact: Contact


@valueclass(frozen=True, slots=True)
class Batch:
    """What is to become durable, in one transaction, in this order: what was learnt of attempts in flight, who opted out,
    what attempts came to, contacts given back (until when) and given up, attempts about to be made; what agents say of those
    that are over; and the ledgers as they are then."""

    progress: tuple[tuple[str, Mapping[str, float | str]], ...] = ()
    opt_outs: tuple[OptOut, ...] = ()
    ended: tuple[Ended, ...] = ()
    releases: tuple[tuple[int, float | None], ...] = ()
    blocks: tuple[tuple[int, bool], ...] = ()
    """contact, and whether it is done (else blocked)"""
    made: tuple[Made, ...] = ()
    ledgers: Mapping[str, tuple[Counted, ...]] = field(default_factory=dict)
    said: tuple[Said, ...] = ()
    charged: tuple[tuple[str, str], ...] = ()
    """attempt and campaign, whose ledger is among these: it was refused what the attempt came to, and has charged it"""
    refused: Mapping[int, Refused] = field(default_factory=dict)
    """of the contacts given back and up, those that the gate refused"""
