"""The FastAGI side of arrivals: a channel asks where to go, the floor is told, its command is the answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from acd.asterisk.agi.request import AgiRequest
from acd.asterisk.ami.quietlog import QuietLog
from acd.asterisk.node import Node
from acd.asterisk.translate import OFFER_CONTEXT, plain_name
from acd.domain.errors import AsteriskError
from acd.domain.events import CallArrived, CallEnded, Event, OfferFailed
from acd.domain.place import Place
from acd.domain.states import OfferOutcome

log = logging.getLogger(__name__)

ANSWER_WITHIN_S = 2.0
LATE_S = 2.5
"""After this time the dialplan has given up, or is about to."""


class Registration:
    """Handles ``agi://controller/inbound,node,entered,call,place,did``. The DID comes last: whoever calls chose its text."""

    def __init__(
        self, nodes: Mapping[str, Node], submit: Callable[[Event], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._nodes = nodes
        self._submit = submit
        self._clock = clock
        self._quiet = QuietLog(log)

    async def inbound(self, request: AgiRequest) -> None:
        """Register the call and answer with its variables; without an answer the dialplan holds the caller anyway."""
        name, entered, call, place = (*request.args, "", "", "", "")[:4]
        did = ",".join(request.args[4:])
        node = self._node(name)
        if node is None or not request.uniqueid:
            text = "an AGI session of %s names the node %r and the channel %r: no such node is connected"
            self._quiet.say(logging.ERROR, "unknown node", text, request.remote, name[:80], request.uniqueid[:80])
            return
        channel, at = request.uniqueid, _seconds(entered, self._clock())
        if (call or self._clock() - at > LATE_S) and not await _waits(request):
            log.info(
                "%s asked while nobody listened, and has gone on; it asks again if it still waits", request.channel
            )
            return
        node.translator.caller_is_ours(channel)
        future = node.executor.expect(channel)
        try:
            self._submit(
                CallArrived(
                    at=at,
                    node=node.name,
                    channel=channel,
                    channel_name=request.channel,
                    linkedid=request.variables.get("agi_linkedid", channel),
                    did=did,
                    caller_number=_known(request.callerid),
                    caller_name=_known(plain_name(request.calleridname, request.channel)),
                    call=call or None,
                    place=Place.decode(place),
                )
            )
            values = await asyncio.wait_for(future, ANSWER_WITHIN_S)
        except TimeoutError:
            log.error("the floor did not answer for %s within %g s; it is held", request.channel, ANSWER_WITHIN_S)
            return
        finally:
            node.executor.forget(channel, future)
        try:
            await request.set_variables(values)
        except AsteriskError as error:
            log.log(logging.DEBUG if request.hung_up else logging.WARNING, "AGI of %s: %s", request.channel, error)
            if await self._is_gone(node, channel):
                return
            # Redirected amid the session: events tell. Anything else: the caller is on hold now
            context, offer, *_ = values["acd_next"].split(",")
            if context == OFFER_CONTEXT and not request.hung_up:
                self._submit(OfferFailed(self._clock(), offer, OfferOutcome.LOST_TRACK, f"AGI: {error}"))

    def _node(self, name: str) -> Node | None:
        """The node of that name. One we never reached does not know its name; if it is the only one, it is that one."""
        if not name and len(self._nodes) == 1:
            return next(iter(self._nodes.values()))
        return self._nodes.get(name)

    async def _is_gone(self, node: Node, channel: str) -> bool:
        """Whether the caller hung up. The event that says so may have come before his arrival, and meant nothing."""
        at = self._clock()
        try:
            answer = await node.actions.send("Getvar", (("Channel", channel), ("Variable", "acd_call")))
        except AsteriskError:
            return False  # the resynchronisation will tell
        if answer.get("Response") == "Error":
            self._submit(CallEnded(at, node.name, channel))
            return True
        return False


async def _waits(request: AgiRequest) -> bool:
    """Whether the dialplan still waits for an answer, told by its answering us."""
    try:
        await request.get_variable("acd_call")
    except AsteriskError:
        return False
    return True


def _seconds(text: str, default: float) -> float:
    """Asterisk's own time of entry, if it is one."""
    try:
        value = float(text)
    except ValueError:
        return default
    return value if 0 < value < default + 60 else default


def _known(text: str) -> str:
    return "" if text == "unknown" else text[:80]
