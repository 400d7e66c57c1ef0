"""Dialling out of a real Asterisk to real customers, without the rest of the service: the test is who decides."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

from acd.asterisk.agi.server import FastAgiServer
from acd.asterisk.node import Node, NodeSettings
from acd.asterisk.outbound import OutboundQuestions
from acd.asterisk.registration import Registration
from acd.asterisk.translate import WANTED
from acd.domain import events as ev
from acd.domain import outbound as out
from acd.lab.asterisk import AmiUser, LabAsterisk, find_program
from acd.lab.asterisk_files import AsteriskOptions, AsteriskPorts
from acd.lab.customer_words import Chooser, parse_customer
from acd.lab.customers import CustomerCall, Customers, carrier_conf
from acd.lab.rig import CHANNELVARS, NODE, share_dir

EPOCH = 7
PATIENT_S = 30.0

E = TypeVar("E", bound=out.AttemptEvent)
Decide = Callable[[out.AttemptAsked], out.OutboundReply | None]


@dataclass
class Recorder:
    """Who decides: notes what it is told, and answers questions by ``decide``."""

    decide: Decide = lambda question: out.HangUpLine()
    events: list[out.OutboundEvent] = field(default_factory=list)
    questions: list[out.AttemptAsked] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, event: out.OutboundEvent) -> None:
        self.events.append(event)
        self.changed.set()

    def asked(self, question: out.AttemptAsked) -> out.OutboundReply | None:
        self.questions.append(question)
        self.changed.set()
        return self.decide(question)

    def dialled(self, attempt: str) -> tuple[str, str]:
        return "", ""

    async def until(self, condition: Callable[[], Any], timeout_s: float = PATIENT_S) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def of(self, attempt: str) -> list[out.AttemptEvent]:
        return [one for one in self.events if isinstance(one, out.AttemptEvent) and one.attempt == attempt]

    def all(self, kind: type[E]) -> list[E]:
        return [one for one in self.events if isinstance(one, kind)]

    def kinds(self, attempt: str) -> list[str]:
        """What was told of it, the words without ``Attempt``."""
        return [type(one).__name__.removeprefix("Attempt") for one in self.of(attempt)]

    async def over(self, attempt: str, timeout_s: float = PATIENT_S) -> out.AttemptOver:
        """Wait for its end."""
        ends: list[out.AttemptOver] = []

        def ended() -> bool:
            ends[:] = [one for one in self.of(attempt) if isinstance(one, out.AttemptOver)]
            return bool(ends)

        await self.until(ended, timeout_s)
        (end,) = ends
        return end


@dataclass
class Station:
    """``place`` dials; ``floor`` gets what the floor would be told."""

    asterisk: LabAsterisk
    customers: Customers
    sink: Recorder
    node: Node
    agi: FastAgiServer
    agi_port: int
    floor: list[ev.Event]
    on_floor: list[Callable[[ev.Event], None]]
    serial: int = 0

    def command(self, number: str = "4930123456", **rest: Any) -> out.PlaceAttempt:
        self.serial += 1
        rest.setdefault("attempt", f"{EPOCH:06d}{self.serial:08d}")
        rest.setdefault("device", f"PJSIP/{number}@carrier")
        rest.setdefault("caller_id", "+4930555000")
        return out.PlaceAttempt(node=NODE, campaign="sales", number=number, **rest)

    def place(self, number: str = "4930123456", **rest: Any) -> str:
        command = self.command(number, **rest)
        self.node.outbound.execute(command)
        return command.attempt

    def floor_calls(self) -> list[ev.CallArrived]:
        """The lines that became calls of the floor's."""
        return [event for event in self.floor if isinstance(event, ev.CallArrived)]

    async def new_controller(self) -> None:
        """Connect as a controller that was started anew would: nothing is known."""
        self.sink.events.clear()
        self.node, self.agi = await _controller(self.asterisk, self.agi_port, self.sink, self.floor, self.on_floor)

    async def controller_gone(self) -> None:
        """As after kill -9: nobody listens, neither to events nor to questions."""
        self.node.calls.drop("killed")
        await self.agi.close()
        await self.node.close()


async def _controller(
    asterisk: LabAsterisk, agi_port: int, sink: Recorder, floor: list[ev.Event], hooks: list[Callable[[ev.Event], None]]
) -> tuple[Node, FastAgiServer]:
    def submit(event: ev.Event) -> None:
        floor.append(event)
        for hook in hooks:
            hook(event)

    settings = NodeSettings(
        NODE, "127.0.0.1", asterisk.ports.ami, "acd-calls", "secret-1", "acd-looks", "secret-2", f"127.0.0.1:{agi_port}"
    )
    alarms: list[tuple[str, str]] = []
    node = Node(settings, epoch=EPOCH, submit=submit, alarm=lambda *what: alarms.append(what), outbound=sink)
    agi = FastAgiServer()
    nodes: Mapping[str, Node] = {NODE: node}
    registration = Registration(nodes, submit)
    agi.add_route("inbound", registration.inbound)
    agi.add_route("outbound", OutboundQuestions(nodes, registration, sink).outbound)
    await agi.start("127.0.0.1", agi_port)
    await node.start()
    assert await node.wait_synced(20), (node.status(), alarms)
    return node, agi


@contextlib.asynccontextmanager
async def station(
    folder: Path,
    numbers: Mapping[str, str] | None = None,
    *,
    mix: str = "answer",
    chooser: Chooser | None = None,
    log: IO[str] | None = None,
    endpoints: str = "",
    dialplan: str = "",
    options: AsteriskOptions | None = None,
    extra_files: Mapping[str, str] | None = None,
) -> AsyncIterator[Station]:
    """Everything up: ``numbers`` (4930*: busy) reach customers as `customer_words` says, others those of ``mix``; or all
    those of ``chooser``. ``log`` is the customers'."""
    chooser = chooser or Chooser(
        {parse_customer(mix): 1.0}, {key: parse_customer(text) for key, text in (numbers or {}).items()}
    )
    customers = await Customers.open(chooser, log=log)
    ports, (agi_port,) = AsteriskPorts.free(), _free(1)
    asterisk = LabAsterisk(
        folder / "asterisk",
        await asyncio.to_thread(find_program),
        ports,
        agi_port=agi_port,
        dialplan_files=[share_dir("dialplan") / "extensions_acd.conf"],
        dialplan_text=dialplan,
        endpoints=carrier_conf(customers.port) + endpoints,
        ami_users=[
            AmiUser("acd-calls", "secret-1", read="call,user,system", write="call,originate", events=tuple(WANTED)),
            AmiUser.for_looks("acd-looks", "secret-2"),
        ],
        channelvars=CHANNELVARS,
        options=options or AsteriskOptions(),
        extra_files=extra_files or {},
        die_with_parent=True,
    )
    sink, floor, hooks = Recorder(), [], []
    here: Station | None = None
    try:
        await asyncio.to_thread(asterisk.start, 60.0)
        node, agi = await _controller(asterisk, agi_port, sink, floor, hooks)
        here = Station(asterisk, customers, sink, node, agi, agi_port, floor, hooks)
        yield here
    finally:
        if here is not None:
            await here.controller_gone()
        customers.close()
        await asyncio.to_thread(asterisk.stop)


def _free(count: int) -> list[int]:
    from acd.lab.asterisk_files import free_ports

    return free_ports(count, low=32_000, high=32_700)


def seen_by(customers: Customers, number: str) -> CustomerCall:
    """The one call that reached ``number``."""
    (call,) = [call for call in customers.calls if call.number == number]
    return call
