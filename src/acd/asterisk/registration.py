"""The FastAGI side of arrivals: a channel asks where to go, the floor is told, its command is the answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from acd.asterisk.agi.request import AgiRequest, Ending, entered_at
from acd.asterisk.ami.quietlog import QuietLog
from acd.asterisk.executor import CONNECT_CONTEXT
from acd.asterisk.node import Node
from acd.asterisk.patience import Patience
from acd.asterisk.translate import OFFER_CONTEXT, plain_name
from acd.domain.attributes import MAX_ATTRIBUTES, fault_of
from acd.domain.errors import AsteriskError
from acd.domain.events import CallArrived, Event, OfferFailed
from acd.domain.place import Place
from acd.domain.states import OfferOutcome

log = logging.getLogger(__name__)

ANSWER_WITHIN_S = 2.0
MAX_TEXT = 2000
"""So many characters of what the dialplan says of a caller are read."""
LATE_S = 2.5
"""After this time the dialplan has given up, or is about to."""


class Registration:
    """Handles ``agi://controller/inbound,node|entered|call|place|attributes|did``. The DID comes last: whoever calls
    chose its text. A dialplan from before says the same in six arguments, and is understood."""

    def __init__(
        self, nodes: Mapping[str, Node], submit: Callable[[Event], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._nodes = nodes
        self._submit = submit
        self._clock = clock
        self._quiet = QuietLog(log)

    def inbound(self, request: AgiRequest) -> Awaitable[Ending | None] | Ending | None:
        """Register the call; the floor's answer, within the same turn of the loop as a rule, becomes its variables.
        Without an answer the dialplan holds the caller anyway."""
        name, entered, call, place, attributes, did = read_question(request.args)
        node = self.node_of(name)
        if node is None or not request.uniqueid:
            text = "an AGI session of %s names the node %r and the channel %r: no such node is connected"
            self._quiet.say(logging.ERROR, "unknown node", text, request.remote, name[:80], request.uniqueid[:80])
            return None
        now = self._clock()
        at = entered_at(entered, now)
        arrived = CallArrived(
            at=at,
            node=node.name,
            channel=request.uniqueid,
            channel_name=request.channel,
            linkedid=request.variables.get("agi_linkedid", request.uniqueid),
            did=did,
            caller_number=_known(request.callerid),
            caller_name=_known(plain_name(request.calleridname, request.channel)),
            call=call or None,
            place=Place.decode(place) if place else None,
            variables=self._attributes(attributes),
            asked_at=at,
        )
        if call or now - at > LATE_S:
            # He was here before: what has become of him since is read while he is asked
            node.calls.listen()
            return self._ask_first(request, node, arrived)
        self._register(request, node, arrived)
        return Ending.LATER

    def _attributes(self, text: str) -> dict[str, str]:
        found, wrong = read_attributes(text)
        if wrong:
            said = "attributes that the dialplan gave a caller are left out: %s%s"
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            self._quiet.say(logging.WARNING, "attributes", said, wrong[0], more)
        return found

    async def _ask_first(self, request: AgiRequest, node: Node, arrived: CallArrived) -> Ending | None:
        still_waits = await request.waits()
        while still_waits and await node.executor.settled(request.uniqueid):
            # We have just sent him somewhere, and he had not gone yet when he was asked
            still_waits = await request.waits()
        await node.calls.caught_up()
        if not still_waits:
            log.info(
                "%s asked while nobody listened, and has gone on; it asks again if it still waits", request.channel
            )
            return None
        self._register(request, node, arrived)
        return Ending.LATER

    def admit(self, request: AgiRequest, node: Node, arrived: CallArrived) -> Ending:
        """Let an outbound line become a call of the floor's, whose answer becomes its variables."""
        self._register(request, node, arrived)
        return Ending.LATER

    def _register(self, request: AgiRequest, node: Node, arrived: CallArrived) -> None:
        channel = arrived.channel
        node.translator.arrives(channel, arrived.channel_name, arrived.did, self._clock())

        def answer(values: dict[str, str]) -> None:
            timer.cancel()
            request.set_variables_last(values, lambda error: self._answered(request, node, values, error))

        def too_late() -> None:
            log.error("the floor did not answer for %s within %g s; it is held", request.channel, ANSWER_WITHIN_S)
            node.executor.forget(channel, answer)
            request.abort()

        timer = Patience(ANSWER_WITHIN_S, too_late)
        node.executor.expect(channel, answer)
        self._submit(arrived)

    def _answered(
        self, request: AgiRequest, node: Node, values: Mapping[str, str], error: AsteriskError | None
    ) -> None:
        request.abort()
        if error is not None:
            log.log(logging.DEBUG if request.hung_up else logging.WARNING, "AGI of %s: %s", request.channel, error)
            request.spawn(self._look_after(request, node, values, error))

    async def _look_after(
        self, request: AgiRequest, node: Node, values: Mapping[str, str], error: AsteriskError
    ) -> None:
        """The answer did not arrive, or nothing says that it did."""
        if await self._is_gone(node, request.uniqueid):
            return
        # Redirected amid the session: events tell. Anything else: the caller is on hold now
        context, offer, *_ = values["acd_next"].split(",")
        if context in (OFFER_CONTEXT, CONNECT_CONTEXT) and not request.hung_up:
            self._submit(OfferFailed(self._clock(), offer, OfferOutcome.LOST_TRACK, f"AGI: {error}"))

    def node_of(self, name: str) -> Node | None:
        """The node of that name. One we never reached does not know its name; if it is the only one, it is that one."""
        if not name and len(self._nodes) == 1:
            return next(iter(self._nodes.values()))
        return self._nodes.get(name)

    async def _is_gone(self, node: Node, channel: str) -> bool:
        """Whether the caller hung up. The event that says so may have come before his arrival, and meant nothing."""
        at = self._clock()
        try:
            answer = await node.calls.send("Getvar", (("Channel", channel), ("Variable", "acd_call")))
        except AsteriskError:
            return False  # the resynchronisation will tell
        if answer.get("Response") == "Error":
            node.translator.gone(channel, at)
            return True
        return False


def _known(text: str) -> str:
    return "" if text == "unknown" else text[:80]


def read_question(arguments: Sequence[str]) -> tuple[str, str, str, str, str, str]:
    """Node, entered, call, place, attributes and DID, as the dialplan asked; what is not there is empty."""
    if arguments and "|" in arguments[0]:
        told = ",".join(arguments).split("|", 5)
    else:
        told = [*arguments[:5], *[""] * (5 - len(arguments[:5])), ",".join(arguments[5:])]
    node, entered, call, place, attributes, did = (*told, *[""] * 5)[:6]
    return node, entered, call, place, attributes, did


def read_attributes(text: str) -> tuple[dict[str, str], list[str]]:
    """``language=nl;tier=gold`` as the dialplan gave it, and what is wrong with the rest, which is left out."""
    pairs = (pair.partition("=") for pair in text[:MAX_TEXT].split(";") if pair.strip())
    read = {name.strip(): value.strip() for name, _, value in pairs}
    faults = {name: fault_of(name, value) for name, value in read.items()}
    sound = [(name, value) for name, value in read.items() if not faults[name]]
    wrong = [f"{name[:40]!r} {fault}" for name, fault in faults.items() if fault]
    if len(sound) > MAX_ATTRIBUTES:
        wrong.append(f"more than {MAX_ATTRIBUTES} attributes")
    if len(text) > MAX_TEXT:
        wrong.append(f"longer than {MAX_TEXT} characters")
    return dict(sound[:MAX_ATTRIBUTES]), wrong
