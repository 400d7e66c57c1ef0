"""How long from a customer's 200 OK until he and a waiting agent hear each other: real Asterisk, phones that answer by
themselves as soon as they ring.

    python tests/asterisk/bench_connect.py [--calls 300] [--agents 20] [--rate 8]

The floor is played: whoever is free is offered within the question. Times are customers' and phones' own.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import outbound as out
from acd.lab.customer_words import Chooser, parse_customer
from acd.lab.customers import Customers, carrier_conf
from acd.lab.rig import NODE
from acd.lab.sipp_results import percentile
from outboundkit import EPOCH, station

PLACE = "sales:0:1.000000:1:1.000000:1.000000"


def shown(name: str, seconds: Sequence[float]) -> None:
    ms = [second * 1000 for second in seconds]
    print(f"{name:32}" + "  ".join(f"p{p} {percentile(ms, p):7.1f}" for p in (50, 90, 99, 100)) + f"  ms, n={len(ms)}")


async def measure(calls: int, agents: int, rate: float) -> None:
    phones = await Customers.open(Chooser({parse_customer("answer+tone"): 1.0}))
    with tempfile.TemporaryDirectory(prefix="acd-bench-") as folder:
        endpoints = carrier_conf(phones.port, name="agents")
        async with station(Path(folder), mix="answer-after:0.1+tone+talk:1.5", endpoints=endpoints) as at:
            free = [f"{1000 + index}" for index in range(agents)]
            busy: dict[str, str] = {}
            offers: dict[str, str] = {}
            at.sink.decide = lambda question: out.Connect(
                ev.CallArrived(question.at, NODE, question.channel, question.channel_name, question.linkedid, "sales")
            )

            def floor(event: ev.Event) -> None:
                if isinstance(event, ev.CallArrived):
                    phone = busy[event.channel] = free.pop(0)
                    offer = f"{EPOCH:06d}9{len(offers):07d}"
                    offers[offer] = event.channel
                    how = (f"PJSIP/{phone}@agents",)
                    at.node.executor.execute(
                        do.OfferCall(
                            NODE, event.channel, "c", PLACE, offer, "a", how, 20.0, "default", auto_answer=True
                        )
                    )
                elif isinstance(event, ev.CallEnded) and event.channel in busy:
                    free.append(busy.pop(event.channel))

            at.on_floor.append(floor)
            numbers = {}
            for index in range(calls):
                number = f"49{index:07d}"
                numbers[number] = at.place(number)
                await asyncio.sleep(1 / rate)
            for attempt in numbers.values():
                await at.sink.over(attempt, 60)
            bridged = {offers[one.offer]: one.at for one in at.floor if isinstance(one, ev.AgentAnswered)}
            customers = {call.number: call for call in at.customers.calls}
            asked = {one.attempt: one.at for one in at.sink.questions}
            # A phone's call is told by when it rang: each customer's agent is the first who was called after he answered
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
            print(f"most at once {at.customers.most_at_once}; counts {dict(at.customers.counts)}")
    phones.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--rate", type=float, default=8.0)
    given = parser.parse_args()
    asyncio.run(measure(given.calls, given.agents, given.rate))
