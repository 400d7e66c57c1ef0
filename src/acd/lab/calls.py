"""Callers of a lab: who calls whom, how patiently and how long, planned in advance and placed by SIPp.

A plan is drawn from a seed, so the same arguments give the same calls. The scenario is `sipp_callers`'s.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import reduce
from operator import add
from pathlib import Path
from urllib.parse import quote

from acd.domain.errors import ConfigurationError, LabError
from acd.domain.values import valueclass
from acd.lab.behaviours import CallerBehaviour
from acd.lab.phones import Phone
from acd.lab.sipp import Load, SippProcess
from acd.lab.sipp_callers import caller_scenario
from acd.lab.sipp_results import SippCounts, SippResult

MAX_CALLS = 1_000_000
LIMIT_S = 3600.0
"""How long a caller without patience waits, and one who leaves the hang-up to the far end talks, before the call
counts as lost."""
_KEY_GAP_MS, _COMMA_MS = 200, 500
_USER_SAFE = "-_.!~*'()&=+$,"


@valueclass(frozen=True, slots=True)
class Call:
    """One call to be placed. ``number`` and ``name`` are the caller's, as hostile as you like: control bytes,
    quotes, anything but NUL, and line ends in the number only.

    ``talk_s`` counts from the answer, or, when ``held``, from the beginning. None for ``wait_s`` or ``talk_s``: the
    caller has no end of his own, and the call is lost when `LIMIT_S` runs out first.
    ``user`` and ``secret`` answer a challenge, when there is one.
    """

    to: str
    number: str = "5550001"
    name: str = ""
    wait_s: float | None = None
    talk_s: float | None = None
    held: bool = False
    keys: str = ""
    expects_refusal: bool = False
    user: str = ""
    secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not self.to or not self.number:
            raise ConfigurationError("a call needs a number to call and a number it comes from")
        if "\0" in self.to + self.number + self.name:
            raise ConfigurationError("SIP has no way to carry a NUL byte in a number or a name")
        if set("\r\n") & set(self.name):
            raise ConfigurationError(
                f"the name {self.name!r} has a line end: Asterisk drops such an INVITE unread; numbers may have one"
            )

    @classmethod
    def drawn(
        cls, to: str, behaviour: CallerBehaviour, rng: random.Random, *, number: str = "5550001", name: str = ""
    ) -> Call:
        """The call of a caller with ``behaviour``, its durations drawn."""
        wait_s = behaviour.patience.draw(rng) if behaviour.patience is not None else None
        talk_s = behaviour.talk.draw(rng) if behaviour.talk is not None else None
        held = behaviour.leaves_held
        return cls(
            to,
            number,
            name,
            wait_s,
            wait_s if held else talk_s,
            held,
            behaviour.dtmf,
            behaviour.expects_refusal,
        )

    @classmethod
    def from_phone(cls, phone: Phone, to: str, behaviour: CallerBehaviour, *, seed: int = 1) -> Call:
        """An agent dials ``to`` on his phone: PJSIP knows the endpoint by the user in From, and by the secret."""
        call = cls.drawn(to, behaviour, random.Random(seed), number=phone.name, name="")
        return cls(
            *(call.to, call.number, call.name, call.wait_s, call.talk_s, call.held, call.keys, call.expects_refusal),
            user=phone.name if phone.registers else "",
            secret=phone.secret,
        )

    def row(self) -> tuple[str, ...]:
        """The line of the injection file (`sipp_callers.CALLER_FIELDS`)."""
        script = "".join(f"{gap_ms:05d}{key}" for gap_ms, key in _presses(self.keys))
        return (
            quote(self.to, safe=_USER_SAFE),
            quote(self.number, safe=_USER_SAFE),
            quote(_quoted_string(self.name), safe=" "),
            _ms(self.wait_s),
            str(int(self.wait_s is None)),
            _ms(self.talk_s),
            str(int(self.talk_s is None)),
            str(int(self.held)),
            str(len(script) // 6),
            script,
            self.user or "nobody",
            self.secret or "none",
        )


def _ms(seconds: float | None) -> str:
    return str(round((LIMIT_S if seconds is None else seconds) * 1000))


def _quoted_string(name: str) -> str:
    """The inside of a SIP quoted-string (RFC 3261, section 25.1)."""
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _presses(keys: str) -> list[tuple[int, str]]:
    """Each key with the pause before it in ms; commas lengthen the pause before the key that follows."""
    presses, gap_ms = [], _KEY_GAP_MS
    for key in keys:
        if key == ",":
            gap_ms += _COMMA_MS
        else:
            presses.append((gap_ms, key))
            gap_ms = _KEY_GAP_MS
    return presses


def plan_calls(
    to: str | Mapping[str, float],
    count: int,
    behaviours: CallerBehaviour | Mapping[CallerBehaviour, float],
    *,
    numbers: Sequence[str] = (),
    names: Sequence[str] = (),
    seed: int = 1,
) -> list[Call]:
    """``count`` calls: numbers called and behaviours chosen by weight, durations drawn, all from ``seed``.

    ``numbers`` and ``names`` of the callers are taken in turn; without numbers every caller has one of his own.
    """
    if not 1 <= count <= MAX_CALLS:
        raise ConfigurationError(f"1 to {MAX_CALLS} calls, not {count}")
    rng = random.Random(seed)
    dids = {to: 1.0} if isinstance(to, str) else dict(to)
    kinds = {behaviours: 1.0} if isinstance(behaviours, CallerBehaviour) else dict(behaviours)
    for weights in (dids.values(), kinds.values()):
        if not weights or min(weights) < 0 or sum(weights) <= 0:
            raise ConfigurationError("weights are 0 or more, and one of them above 0")
    chosen = zip(
        rng.choices(list(dids), list(dids.values()), k=count),
        rng.choices(list(kinds), list(kinds.values()), k=count),
        strict=True,
    )
    return [
        Call.drawn(
            did,
            behaviour,
            rng,
            number=numbers[index % len(numbers)] if numbers else f"555{index:07d}",
            name=names[index % len(names)] if names else "",
        )
        for index, (did, behaviour) in enumerate(chosen)
    ]


class CallGenerator:
    """Places ``calls`` in their order, ``rate`` a second, from UDP ports ``first_port`` to ``first_port`` + 3.

    One SIPp does it, up to four when some calls answer challenges or are to be refused: those want scenarios of their
    own. ``at_once`` limits the calls that are up at a time (then the rate gives way).
    """

    PORTS = 4

    def __init__(
        self,
        calls: Sequence[Call],
        rate: float,
        asterisk_sip_port: int,
        first_port: int,
        sipp_command: Sequence[str],
        directory: Path,
        *,
        at_once: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        if not calls:
            raise LabError("no calls to place")
        groups: dict[tuple[bool, bool], list[Call]] = {}
        for call in calls:
            groups.setdefault((bool(call.user), call.expects_refusal), []).append(call)
        self._processes = [
            SippProcess(
                sipp_command,
                directory / f"callers-{first_port + index}",
                name="callers",
                scenario=caller_scenario(authenticates=authenticates, expects_refusal=expects_refusal),
                port=first_port + index,
                remote_port=asterisk_sip_port,
                rows=[call.row() for call in group],
                load=Load(
                    len(group),
                    rate * len(group) / len(calls),
                    None if at_once is None else max(at_once * len(group) // len(calls), 1),
                ),
                env=env,
            )
            for index, ((authenticates, expects_refusal), group) in enumerate(groups.items())
        ]

    async def start(self) -> None:
        """Begin to call; LabError when SIPp cannot."""
        try:
            for each in self._processes:
                await each.start()
        except BaseException:
            await asyncio.gather(*(each.stop(0) for each in self._processes if each.running))
            raise

    async def wait(self, timeout_s: float | None = None) -> SippResult:
        """Wait for the end of every call; TimeoutError, and they go on, when it has not come after ``timeout_s``."""
        async with asyncio.timeout(timeout_s):
            ended = await asyncio.gather(*(each.wait() for each in self._processes))
        return reduce(add, ended)

    async def stop(self, grace_s: float = 5.0) -> SippResult:
        """Place no more; calls under way may end within ``grace_s``, then they are broken off and count as lost."""
        ended = await asyncio.gather(*(each.stop(grace_s) for each in self._processes))
        return reduce(add, ended)

    def counts(self) -> SippCounts:
        """The totals so far, at most a quarter of a second old."""
        return reduce(add, (each.counts() for each in self._processes))

    @property
    def running(self) -> bool:
        """Whether calls are still being placed or under way."""
        return any(each.running for each in self._processes)

    @property
    def cpu_s(self) -> float:
        """Processor time of its SIPps so far, in seconds."""
        return sum(each.cpu_s for each in self._processes)


async def place_calls(
    calls: Sequence[Call],
    rate: float,
    asterisk_sip_port: int,
    first_port: int,
    sipp_command: Sequence[str],
    directory: Path,
    *,
    at_once: int | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> SippResult:
    """Place ``calls`` and wait for their end; after ``timeout_s``, or when cancelled, those still up are broken off."""
    generator = CallGenerator(
        calls, rate, asterisk_sip_port, first_port, sipp_command, directory, at_once=at_once, env=env
    )
    await generator.start()
    try:
        return await generator.wait(timeout_s)
    except TimeoutError:
        return await generator.stop(0)
    except asyncio.CancelledError:
        await generator.stop(0)
        raise
