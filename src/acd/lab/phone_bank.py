"""All the phones of a lab at work: one SIPp for each behaviour, however many phones share it.

What a phone is and how Asterisk is told of it stands in `phones`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path

from acd.domain.errors import LabError
from acd.lab.asterisk_files import free_ports, is_free
from acd.lab.behaviours import Absent, Answers, Duration, PhoneBehaviour, Refuses
from acd.lab.phones import Phone, endpoints_conf
from acd.lab.sipp import Load, SippProcess
from acd.lab.sipp_phones import phone_scenario, register_scenario
from acd.lab.sipp_results import SippCounts, SippResult

DRAWS = 4096
"""How many durations are drawn in advance for a behaviour with a distribution; after the last they begin anew."""
REGISTRATIONS_PER_S = 200.0


class PhoneBank:
    """The phones ``phones`` at UDP ports from ``first_port`` on, one for each behaviour, one more to register from.

    ``asterisk_sip_port`` is where Asterisk listens, ``sipp_command`` the program with whatever goes before it, and
    ``env`` its whole environment (None: ours). ``directory`` is the bank's own. ``seed`` fixes every drawn duration.

    Give `endpoints` to Asterisk, then `start`; phones that register are known to Asterisk after `register`.
    """

    def __init__(
        self,
        phones: Sequence[Phone],
        asterisk_sip_port: int,
        first_port: int,
        sipp_command: Sequence[str],
        directory: Path,
        *,
        env: Mapping[str, str] | None = None,
        seed: int = 1,
    ) -> None:
        self.phones = tuple(phones)
        self._sip_port, self._command, self._directory, self._env = asterisk_sip_port, sipp_command, directory, env
        self._seed = seed
        self._ports: dict[int, int] = {}
        self._groups: dict[int, PhoneBehaviour] = {}
        self._group_phones(first_port)
        self.last_port = first_port + len(self._groups)
        self._processes: dict[int, SippProcess] = {}
        self._registrations = 0
        self.results: Mapping[str, SippResult] = {}
        """After `stop`: the result for each behaviour, by its text."""

    def _group_phones(self, first_port: int) -> None:
        """Phones of one name and behaviour need a port each, or the second contact could not be told from the first."""
        seen: Counter[tuple[str, str]] = Counter()
        port_of: dict[tuple[str, int], int] = {}
        for index, phone in enumerate(self.phones):
            text = str(phone.behaviour)
            group = (text, seen[phone.name, text])
            seen[phone.name, text] += 1
            port = port_of.setdefault(group, first_port + len(port_of))
            self._groups[port] = phone.behaviour
            self._ports[index] = port

    @property
    def endpoints(self) -> str:
        """The text for pjsip.conf."""
        ports = {id(phone): self._ports[index] for index, phone in enumerate(self.phones)}
        return endpoints_conf(self.phones, lambda phone: ports[id(phone)])

    def port_of(self, phone: Phone) -> int:
        """Where ``phone`` listens (or would, if it is absent)."""
        return self._ports[self.phones.index(phone)]

    async def start(self) -> None:
        """Start every SIPp, side by side; when one fails, the others are stopped and its LabError is raised."""
        if self._processes:
            raise LabError("these phones were started before")
        for number, (port, behaviour) in enumerate(self._groups.items()):
            if not isinstance(behaviour, Absent):
                self._processes[port] = SippProcess(
                    self._command,
                    self._directory / f"phones-{port}",
                    name=f"phones ({behaviour})",
                    scenario=phone_scenario(behaviour),
                    port=port,
                    remote_port=self._sip_port,
                    rows=_durations(behaviour, random.Random(f"{self._seed}/{number}")),
                    env=self._env,
                )
        outcomes = await asyncio.gather(*(each.start() for each in self._processes.values()), return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if failures:
            await asyncio.gather(*(each.stop(0) for each in self._processes.values() if each.running))
            raise failures[0]

    async def stop(self, grace_s: float = 5.0) -> SippResult:
        """Stop them all; calls still up after ``grace_s`` are broken off and count as lost."""
        started = {port: each for port, each in self._processes.items() if each.started}
        ended = await asyncio.gather(*(each.stop(grace_s) for each in started.values()))
        results: dict[str, SippResult] = {}
        for port, result in zip(started, ended, strict=True):
            text = str(self._groups[port])
            results[text] = results[text] + result if text in results else result
        self.results = results
        return reduce(add, ended, SippResult())

    def counts(self) -> SippCounts:
        """The totals so far of all phones, at most a quarter of a second old."""
        return reduce(add, (each.counts() for each in self._processes.values()), SippCounts())

    def counts_by_behaviour(self) -> dict[str, SippCounts]:
        """The totals so far for each behaviour, by its text."""
        counts: dict[str, SippCounts] = {}
        for port, each in self._processes.items():
            text = str(self._groups[port])
            counts[text] = counts.get(text, SippCounts()) + each.counts()
        return counts

    @property
    def cpu_s(self) -> float:
        """Processor time of their SIPps so far, in seconds."""
        return sum(each.cpu_s for each in self._processes.values())

    async def register(self, phones: Iterable[Phone] | None = None, *, expires_s: int = 3600) -> None:
        """Register ``phones`` (all that register, unless told) for ``expires_s``; LabError names what was refused."""
        chosen = [phone for phone in (self.phones if phones is None else phones) if phone.registers]
        if not chosen:
            return
        self._registrations += 1
        rows = [(phone.name, phone.secret, str(self.port_of(phone)), str(expires_s)) for phone in chosen]
        sipp = SippProcess(
            self._command,
            self._directory / f"registrations-{self._registrations}",
            name="registrations",
            scenario=register_scenario(),
            # Somebody may have taken it since the last time; Asterisk goes by the contact, not by where it comes from
            port=self.last_port if is_free(self.last_port) else free_ports(1, low=14_000, high=19_999)[0],
            remote_port=self._sip_port,
            rows=rows,
            load=Load(len(rows), REGISTRATIONS_PER_S),
            env=self._env,
        )
        try:
            await sipp.start()
            result = await sipp.wait(len(rows) / REGISTRATIONS_PER_S + 40.0)
        except BaseException:
            if sipp.running:
                await sipp.stop(0)
            raise
        if result.lost:
            raise LabError(
                f"Asterisk did not take {result.lost} of {len(rows)} registrations: {'; '.join(result.errors)}"
            )

    async def unregister(self, phones: Iterable[Phone] | None = None) -> None:
        """Take the registrations of ``phones`` (all, unless told) back, each for its own contact only."""
        await self.register(phones, expires_s=0)


def _durations(behaviour: PhoneBehaviour, rng: random.Random) -> list[tuple[str, str]]:
    """The lines of the injection file: ms until the reaction, ms of talk. One line when nothing is random."""
    after: Duration | None = None
    talk: Duration | None = None
    if isinstance(behaviour, Answers):
        after, talk = behaviour.after, behaviour.talk
    elif isinstance(behaviour, Refuses):
        after = behaviour.after
    is_fixed = all(duration is None or duration.is_fixed for duration in (after, talk))

    def draw(duration: Duration | None) -> str:
        return "0" if duration is None else str(round(duration.draw(rng) * 1000))

    return [(draw(after), draw(talk)) for _ in range(1 if is_fixed else DRAWS)]
