"""How long from a customer's 200 OK until he and a waiting agent hear each other: real Asterisk, phones that answer by
themselves as soon as they ring, then agents on lasting lines.

    python tests/asterisk/bench_connect.py [--calls 300] [--agents 20] [--rate 8]

The floor is played. Times are customers' and phones' own.

The p99 of 150 calls is the second worst of them: take at least 1000 calls for a p99 that
means something, on a machine that does nothing else. Its load stands beside the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import outbound as out
from acd.domain.campaignlines import SILENCE
from acd.lab.customer_words import Chooser, parse_customer
from acd.lab.customers import Customers, carrier_conf
from acd.lab.rig import NODE
from acd.lab.sipp_results import percentile
from outboundkit import EPOCH, Station, station

P99_CALLS = 1000
"""So many calls have ten above their p99."""
PLACE = "sales:0:1.000000:1:1.000000:1.000000"


def shown(name: str, seconds: Sequence[float]) -> None:
    ms = [second * 1000 for second in seconds]
    print(f"{name:32}" + "  ".join(f"p{p} {percentile(ms, p):7.1f}" for p in (50, 90, 99, 100)) + f"  ms, n={len(ms)}")


class Played:
    """The floor: whoever is free is offered within the question. ``called`` have phones that ring, others lasting lines."""

    def __init__(self, at: Station, phones: Customers, agents: int, *, lasting: bool) -> None:
        self._at, self._phones, self._lasting = at, phones, lasting
        self._names = [f"{1000 + index}" for index in range(agents)]
        self.free = [] if lasting else list(self._names)
        self._lines: dict[str, ev.LineWaits] = {}
        self._busy: dict[str, str] = {}
        self._freed = asyncio.Event()
        self.offers: dict[str, str] = {}
        self.heard: dict[str, float | None] = {}
        """per customer's channel: when the agent first heard something on his lasting line"""
        at.sink.decide = lambda question: out.Connect(
            ev.CallArrived(question.at, NODE, question.channel, question.channel_name, question.linkedid, "sales")
        )
        at.on_floor.append(self._told)

    async def ready(self) -> None:
        """With lasting lines: all of them are up."""
        if self._lasting:
            for index, name in enumerate(self._names):
                line, device = f"line{EPOCH:06d}{index:08d}", f"PJSIP/{name}@agents"
                self._at.node.executor.execute(do.CallLine(NODE, line, name, device, name, SILENCE, 20.0))
            await self.all_free()

    async def all_free(self) -> None:
        """Nobody talks."""
        async with asyncio.timeout(30):
            while len(self.free) < len(self._names):
                self._freed.clear()
                await self._freed.wait()

    def _told(self, event: ev.Event) -> None:
        if isinstance(event, ev.CallArrived):
            name = self._busy[event.channel] = self.free.pop(0)
            offer = f"{EPOCH:06d}9{len(self.offers):07d}"
            self.offers[offer] = event.channel
            made = do.OfferCall(
                *(NODE, event.channel, "c", PLACE, offer, "a", (f"PJSIP/{name}@agents",), 20.0, "default"),
                auto_answer=True,
            )
            if self._lasting:
                line = self._lines[name]
                made = replace(made, leg=line.channel, leg_name=line.channel_name, lasting=True)
            self._at.node.executor.execute(made)
        elif isinstance(event, ev.LineWaits):
            self._waits(event)
        elif isinstance(event, ev.CallEnded) and event.channel in self._busy and not self._lasting:
            self.free.append(self._busy.pop(event.channel))

    def _waits(self, event: ev.LineWaits) -> None:
        call = next(call for call in self._phones.calls if call.number == event.agent)
        heard = self._phones.listen_again(call)
        for customer in [channel for channel, name in self._busy.items() if name == event.agent]:
            self.heard[customer] = heard
            del self._busy[customer]
        self._lines[event.agent] = event
        self.free.append(event.agent)
        self._freed.set()


async def measure(calls: int, agents: int, rate: float, *, lasting: bool) -> None:
    print("agents on lasting lines" if lasting else "agents who are called")
    phones = await Customers.open(Chooser({parse_customer("answer+tone"): 1.0}))
    with tempfile.TemporaryDirectory(prefix="acd-bench-") as folder:
        endpoints = carrier_conf(phones.port, name="agents")
        async with station(Path(folder), mix="answer-after:0.1+tone+talk:1.5", endpoints=endpoints) as at:
            played = Played(at, phones, agents, lasting=lasting)
            await played.ready()
            numbers = {}
            for index in range(calls):
                number = f"49{index:07d}"
                numbers[number] = at.place(number)
                await asyncio.sleep(1 / rate)
            for attempt in numbers.values():
                await at.sink.over(attempt, 60)
            bridged = {played.offers[one.offer]: one.at for one in at.floor if isinstance(one, ev.AgentAnswered)}
            customers = {call.number: call for call in at.customers.calls}
            asked = {one.attempt: one.at for one in at.sink.questions}
            if lasting:
                await played.all_free()
                agent_heard = {number: played.heard[attempt] for number, attempt in numbers.items()}
            else:
                # A phone's call is told by when it rang: each customer's agent is the first called after he answered
                legs = sorted((call.called_at, call.heard_at) for call in phones.calls)
                answered = sorted((customers[n].answered_at, n) for n in numbers)
                agent_heard = {number: heard for (_, number), (_, heard) in zip(answered, legs, strict=True)}
            took = {n: customers[n].answered_at for n in numbers}
            shown("200 OK -> the line asks", [asked[a] - took[n] for n, a in numbers.items()])
            shown("200 OK -> both in one bridge", [bridged[a] - took[n] for n, a in numbers.items()])
            shown("200 OK -> customer hears agent", [customers[n].heard_at - took[n] for n in numbers])
            shown("200 OK -> agent hears customer", [agent_heard[n] - took[n] for n in numbers])
            both = [max(customers[n].heard_at, agent_heard[n]) - took[n] for n in numbers]
            shown("200 OK -> both hear", both)
            load = " ".join(f"{one:.2f}" for one in os.getloadavg())
            print(f"load of the machine (1, 5, 15 min) {load}, {os.cpu_count()} processors")
            if calls < P99_CALLS:
                print(f"p99 of {calls} calls: {calls // 100} above it; at least {P99_CALLS} calls make it meaningful")
            print(f"most at once {at.customers.most_at_once}; counts {dict(at.customers.counts)}\n")
    phones.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300, help=f"a p99 wants {P99_CALLS} at least")
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--rate", type=float, default=8.0)
    given = parser.parse_args()
    for lasting in (False, True):
        asyncio.run(measure(given.calls, given.agents, given.rate, lasting=lasting))
