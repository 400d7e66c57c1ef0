"""Why an agent has no call now, told to a person: one sentence first, then what it rests on. No IO.

Keys that this does not know are printed as they are, so that an older client hides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from acd.cli import text as say
from acd.cli.console import STATE_STYLES, STATE_WORDS, cell, make_table
from acd.cli.explain import said, words
from acd.cli.floorview import line_text
from acd.domain.states import PAUSE_NO_LINE, AgentState, LineStage, PhoneState

_AWAY = {
    AgentState.LOGGED_OUT: "is logged out, and is offered no call before logging in",
    AgentState.PAUSED: "is paused{reason}, and is offered no call before resuming",
    AgentState.PREVIEW: "is {preview}, and is offered no call before that is over",
    AgentState.WRAP_UP: "is in wrap-up after a call, and is offered the next one when that is over",
}
_PREVIEW = {"shown": "shown a contact", "dialling": "having somebody dialled"}
_BUSY = {
    AgentState.RESERVED: "is being offered a call",
    AgentState.RINGING: "is being offered a call: the phone rings",
    AgentState.TALKING: "has a call",
}
_PHONES = {
    PhoneState.BUSY: "the phone is busy with something else",
    PhoneState.RINGING: "the phone rings for somebody else",
    PhoneState.UNREACHABLE: "the phone cannot be reached: it is not registered, or switched off",
}
_LINES = {
    LineStage.CALLED: "has no lasting line yet: the phone is called, and must be answered",
    LineStage.STAYS: "has no lasting line yet: the call with the dial code is about to become it",
    LineStage.DUE: "has no lasting line: the phone is called again in a moment",
    None: "has no lasting line, and is called when logging in or resuming",
}
_NOT_HIS = "not in the queue"
_WHY_NOT = {
    "cool-down": "is passed over for some seconds after an offer that failed",
    "line on hold": "holds the lasting line",
    "line in use": "the lasting line is not back from a conversation yet",
    "cool_down": "is passed over for some seconds after an offer that failed",
}


def idle_explained(body: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The lines of ``acd agent explain`` for the body of /v1/agents/{name}/explain."""
    left = dict(body)
    prospects = left.pop("prospects", None) or []
    yield Text(_sentence(body, prospects), style="bold")
    state = str(left.pop("state", ""))
    shown = Text(STATE_WORDS.get(state, say.clean(state)), style=STATE_STYLES.get(state, ""))
    reason, since = left.pop("reason", None), left.pop("since", None)
    if reason is not None:
        shown.append(f" ({say.clean(reason)})")
    if since:
        shown.append(f"  since {say.moment(since)}", style="dim")
    phone = left.pop("phone", None)
    rows = [("state", shown), ("phone", Text(say.clean(phone).lower() if isinstance(phone, str) else said(phone)))]
    line = left.pop("line", None)
    if isinstance(line, dict):
        rows.append(("line", line_text(line)))
    revision = left.pop("revision", None)
    left.pop("agent", None)
    if state != AgentState.AVAILABLE:
        left.pop("why_not", None)
    rows += [(words(key), Text(said(value))) for key, value in left.items() if value not in (None, "", [])]
    rows += [("revision", Text(say.clean(revision)))]
    for label, value in rows:
        yield Text(f"  {label:<10}  ", style="dim").append_text(value)
    yield Text("")
    if not prospects:
        yield Text("  no call waits", style="dim")
        return
    table = make_table([("QUEUE", "left"), ("WAITING", "right"), ("NEEDS", "left"), ("WHY NOT", "left")])
    for prospect in prospects:
        waiting = prospect.get("waiting")
        needs, kept = prospect.get("requirement"), prospect.get("kept_for")
        table.add_row(
            cell(prospect.get("queue"), "bold"),
            said(waiting) if waiting else Text("0", style="dim"),
            cell(f"{said(kept)} alone" if kept else "anyone" if needs in (None, "") else said(needs)),
            cell(said(prospect["why_not"]) if prospect.get("why_not") else ""),
        )
    yield table


def _sentence(body: Mapping[str, Any], prospects: list[Mapping[str, Any]]) -> str:
    """Why the agent has no call now."""
    name, state = say.clean(body.get("agent")), body.get("state")
    if state in _BUSY:
        return f"{name} {_BUSY[state]}."
    line = body.get("line")
    if state == AgentState.PAUSED and body.get("reason") == PAUSE_NO_LINE and isinstance(line, dict):
        return f"{name} {_LINES.get(line.get('state'), _LINES[None])}."
    if state in _AWAY:
        reason, pending = body.get("reason"), body.get("pending")
        if state == AgentState.WRAP_UP and pending:
            then = (
                "is logged out" if pending == "logout" else f"is paused ({say.clean(str(pending).partition(':')[2])})"
            )
            return f"{name} is in wrap-up after a call, and {then} when that is over."
        told = "" if reason is None else f" ({say.clean(reason)})"
        return f"{name} {_AWAY[state].format(reason=told, preview=_PREVIEW.get(str(reason), f'at a preview{told}'))}."
    if state != AgentState.AVAILABLE:
        return f"{name} is {words(state).lower()}."
    phone = body.get("phone")
    if phone in _PHONES and line is None:
        return f"{name} is available, but {_PHONES[phone]}."
    if body.get("why_not"):
        why_not = str(body["why_not"])
        return f"{name} is available, but {_WHY_NOT.get(why_not) or f'is offered nothing: {say.clean(why_not)}'}."
    return f"{name} is available, {_lacking(body, prospects)}."


def _lacking(body: Mapping[str, Any], prospects: list[Mapping[str, Any]]) -> str:
    """Of somebody who could be rung: why there is nothing to ring for."""
    waiting = [one for one in prospects if one.get("waiting")]
    if body.get("held_for"):
        return f"and waited for by {said(body['held_for'])}"
    if not waiting:
        return "and no call waits"
    fit = [one for one in waiting if not one.get("why_not")]
    if fit:
        return f"and calls wait in {_queues(fit)}, none of which can be offered at this moment"
    his = [one for one in waiting if one["why_not"] != _NOT_HIS]
    if not his:
        return f"and calls wait in other queues only ({_queues(waiting)})"
    others = len(his) - 1
    more = f" (and {others} more of the kind)" if others else ""
    return f"and may take none of the calls that wait: {_queues(his[:1])}: {said(his[0]['why_not'])}{more}"


def _queues(prospects: list[Mapping[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(say.clean(one.get("queue")) for one in prospects))
