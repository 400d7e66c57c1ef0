"""Campaigns as people see them: how they stand, and why one dials nobody, or so few. Pure; changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from acd.dialer.blending import Level
from acd.dialer.gate import Reason
from acd.domain.campaigns import CampaignState, Mode
from acd.domain.detection import Detected
from acd.domain.instant import Instant
from acd.domain.outbound import Verdict
from acd.outbound.desks import Desk, Step
from acd.outbound.flight import RINGS, Phase
from acd.outbound.runner import Runner
from acd.outbound.words import Seat

if TYPE_CHECKING:
    from acd.outbound.core import Dialler

_CHOOSE: Final[Mapping[Mode, str]] = {
    Mode.PREVIEW: "contacts are dialled as agents accept them",
    Mode.MANUAL: "numbers are dialled as agents ask for them",
}
_PACER: Final[Mapping[str, str]] = {
    "pulled": "as many as agents have accepted",
    "covered": "a line for every idle agent; one more would risk too much",
    "ratio": "as many as the ratio allows",
    "risk": "one more line would too likely reach a person for whom no agent is free",
    "ledger": "the abandonments that the law allows are used up: a line only for an idle agent",
    "lines": "as many as the trunk, Asterisk and the contacts at hand allow",
    "nothing": "no idle agent is left without a line, and none may be placed ahead",
}


def explain(dialler: Dialler, name: str, now: Instant) -> dict[str, Any]:
    """Why a campaign dials nobody, or so few: the first of ``why`` counts."""
    runner = dialler.runners[name]
    why = [{"what": word, "detail": said} for word, said in _reasons(dialler, runner, now)]
    supply, decision = runner.supply, runner.decision
    trunk, use = runner.terms.trunk, dialler.trunks[runner.terms.trunk.name]
    node = dialler.node_of(runner)
    return {
        "campaign": name,
        "why": why,
        "decision": None if decision is None else {"lines": decision.lines, **decision.why.as_json()},
        "supply": None
        if supply is None
        else {
            "idle": supply.idle, "waiting": supply.waiting, "talking": len(supply.talking),
            "wrapping": len(supply.wrapping), "ringing": len(supply.ringing), "room": supply.most,
        },
        "inbound": _inbound(dialler, runner, now),
        "refusals": dict(runner.refusals.most_common()),
        "last_refusals": {
            reason: {"detail": said.detail, "until": said.until_s} for reason, said in runner.last_refusal.items()
        },
        "ready": len(runner.ready),
        "trunk": {
            "name": trunk.name, "lines": use.lines, "lines_most": trunk.lines, "calls_per_s": trunk.calls_per_s,
            "rests_s": max(0.0, use.rests_until_s - now.mono) if use.rests_until_s is not None else None,
            "rested": use.rested, "why": use.why or None,
        },
        "node": None
        if node is None
        else {
            "name": node, "window": round(dialler.nodes[node].window, 1), "under_way": dialler.nodes[node].under_way,
            "response_s": round(dialler.nodes[node].response_s, 4),
        },
    }  # fmt: skip


def _reasons(dialler: Dialler, runner: Runner, now: Instant) -> list[tuple[str, str]]:
    """What stands in the way, the gravest first."""
    found: list[tuple[str, str]] = []
    name, campaign = runner.name, runner.campaign
    if runner.state is not CampaignState.RUNNING:
        by = f" by {runner.by}" if runner.by else ""
        found.append(("state", f"campaign {name} is {runner.state}{by}"))
    held_up = dialler.held_up(now)
    if held_up is not None:
        found.append(held_up)
    if held_up is None and dialler.node_of(runner) is None:
        found.append(("node", f"the Asterisk of trunk {campaign.trunk} is not connected, or not named"))
    use = dialler.trunks[campaign.trunk]
    reason = f": {use.why}" if use.why else ""
    if use.rests_until_s is not None and now.mono < use.rests_until_s:
        rest_s = use.rests_until_s - now.mono
        found.append(
            ("trunk_rests", f"trunk {campaign.trunk} failed and is left alone for {rest_s:.0f} s more{reason}")
        )
    elif use.rests and use.probe is not None:
        tried = f"trunk {campaign.trunk} failed, and is tried with one line before any other{reason}"
        found.append(("trunk_tried", tried))
    elif use.lines >= runner.terms.trunk.lines:
        found.append(("lines", f"all {runner.terms.trunk.lines} lines of trunk {campaign.trunk} are in use"))
    waits = runner.rests_by(now)
    if waits is not None:
        found.append((f"gate:{waits.reason.value}", waits.detail))
    inbound = _inbound(dialler, runner, now)
    for queue, one in inbound.items():
        if one["kept"]:
            word = "recalled to" if one["level"] == Level.RECALL.word else "reserved for"
            who = "1 agent is" if one["kept"] == 1 else f"{one['kept']} agents are"
            found.append((f"inbound:{one['level']}", f"{who} {word} queue {queue}: {one['why']}"))
    if runner.state is not CampaignState.RUNNING:
        # Nothing is claimed for it, and no agent counts for it
        return found
    there = [seat for seat in dialler.seats if name in seat.lines]
    away = any(one["kept"] for one in inbound.values()) or dialler.desks.of_campaign(name)
    if not there and not away:
        found.append(
            (
                "agents",
                f"no agent who serves {name} is there: logged in, not paused, and with a phone that can be called",
            )
        )
    elif there and campaign.mode is not Mode.MANUAL and runner.places and runner.empty and not runner.ready:
        found.append(_shut(runner))
    elif there and campaign.mode is not Mode.MANUAL and not (runner.ready or runner.claiming or runner.flights):
        found.append(("contacts", _contacts(runner)))
    elif not away:
        found += _agents(dialler, runner, there)
    if campaign.mode in (Mode.PREVIEW, Mode.MANUAL) and not found:
        found.append(("agents_choose", _CHOOSE[campaign.mode]))
    elif runner.decision is not None and not found:
        found.append((f"pacer:{runner.decision.why.because}", _PACER[runner.decision.why.because]))
    return found


def _shut(runner: Runner) -> tuple[str, str]:
    """Nobody of those who may be called now is left, if there are such."""
    said = runner.last_refusal.get(Reason.HOURS.value) or runner.last_refusal.get(Reason.HOLIDAY.value)
    detail = "it is outside the calling hours where its contacts are" if said is None else said.detail
    what = f"gate:{Reason.HOURS if said is None else said.reason}"
    if runner.searches:
        return what, f"{detail}; its lists are looked through for people who are elsewhere"
    ends = [until_s for _, until_s in runner.places.values()]
    next_s = min([*ends, *([] if runner.due_s is None else [runner.due_s])])
    return what, f"{detail}; the next may be called at {datetime.fromtimestamp(next_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _contacts(runner: Runner) -> str:
    """Why there is nobody to dial."""
    names = runner.campaign.lists
    if not names:
        return "it has no lists"
    if runner.missing:
        text = f"there is no list {' and no list '.join(runner.missing)}"
        if len(runner.missing) == len(names):
            return text
        return f"{text}, and no contact of the others is due now"
    what = f"no contact of its lists ({', '.join(names)}) is due now"
    if not runner.empty:
        return what
    if runner.due_s is None:
        return f"{what}, and none will be: all are done, blocked, or with somebody else"
    return f"{what}; the next is at {datetime.fromtimestamp(runner.due_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _agents(dialler: Dialler, runner: Runner, there: list[Seat]) -> list[tuple[str, str]]:
    """Whom its agents work for, if for others; that they are busy, where that counts."""
    supply = runner.supply
    if supply is not None and (supply.idle or supply.talking or supply.wrapping):
        busy = not supply.idle and runner.campaign.mode is Mode.PROGRESSIVE
        return [("agents", "every agent is busy")] if busy else []
    others = Counter(dialler.sharing.owner(seat.agent) for seat in there)
    lent = sorted(f"{count} for {owner}" for owner, count in others.items() if owner not in (None, runner.name))
    return [("agents", f"its agents work for other campaigns now: {', '.join(lent)}")] if lent else []


def _inbound(dialler: Dialler, runner: Runner, now: Instant) -> dict[str, dict[str, Any]]:
    """Queues that may take agents from a campaign: how they stand, and how many of its agents they keep."""
    told = dialler.blending.told(now.mono)
    return {queue: {**told[queue], "kept": count} for queue, count in runner.kept.items() if queue in told}


def desk(dialler: Dialler, one: Desk, now: Instant) -> dict[str, Any]:
    """What an agent is shown of the contact he has, JSON-able."""
    ready, contact = one.ready, one.ready.contact
    campaign = dialler.runners[one.campaign].campaign
    return {
        "agent": one.agent,
        "campaign": one.campaign,
        "step": one.step.value,
        "manual": one.manual,
        "left_s": round(max(0.0, one.until_mono - now.mono), 1) if one.step is Step.SHOWN else None,
        "then": campaign.preview.then.value if one.step is Step.SHOWN else None,
        "script": campaign.preview.script or campaign.script,
        "number": ready.piece.number,
        "kind": ready.piece.kind.value,
        "contact": {
            "contact": contact.contact,
            "list": contact.list,
            "key": contact.key,
            "name": contact.name,
            "language": contact.language,
            "country": contact.country,
            "numbers": [{"number": number.number, "kind": number.kind} for number in contact.numbers],
            "fields": dict(contact.fields),
        },
        "attempts": [
            {"number": tried.number, "outcome": None if tried.outcome is None else tried.outcome.value}
            for tried in ready.tried
        ],
        "last_attempt": max(ready.contact_s, default=None),
        "attempt": one.attempt,
    }


def _detection(runner: Runner) -> dict[str, Any] | None:
    """What machine detection is taken to do to people, and what agents have found out; None where there is none."""
    if not runner.campaign.amd:
        return None
    found = runner.detected
    counted = {"audit": runner.campaign.amd_audit, "charged": round(runner.book.share, 5)}
    return {**counted, "measured": found is not None and found.upper is not None, **(found or Detected()).as_json()}


def status(dialler: Dialler, name: str, now: Instant) -> dict[str, Any]:
    """A campaign as it is now, JSON-able."""
    runner = dialler.runners[name]
    campaign, supply, slack = runner.campaign, runner.supply, runner.book.slack(now.utc)
    phases = Counter(flight.phase for flight in runner.flights.values())
    machines = sum(
        one.phase in RINGS and one.verdict in (Verdict.MACHINE, Verdict.FAX) for one in runner.flights.values()
    )
    why = _reasons(dialler, runner, now)
    decision = runner.decision
    return {
        "name": name,
        "mode": campaign.mode.value,
        "state": runner.state.value,
        "since": runner.since_s,
        "by": runner.by,
        "reason": runner.reason,
        "queue": campaign.queue,
        "named": list(campaign.agents),
        "trunk": campaign.trunk,
        "lists": list(campaign.lists),
        "profile": campaign.profile,
        "script": campaign.preview.script or campaign.script,
        "priority": campaign.priority,
        "weight": campaign.weight,
        "agents": {
            "idle": 0 if supply is None else supply.idle,
            "talking": 0 if supply is None else len(supply.talking),
            "wrapping": 0 if supply is None else len(supply.wrapping),
        },
        "inbound": _inbound(dialler, runner, now),
        "previews": dict(Counter(one.step.value for one in dialler.desks.of_campaign(name))),
        "skipped": dict(runner.skips),
        "ringing": sum(phases[phase] for phase in RINGS) - machines,
        "waiting": phases[Phase.WAITING],
        "connected": phases[Phase.CONNECTED],
        "machines": machines,
        "ready": len(runner.ready),
        "detection": _detection(runner),
        "outcomes": dict(runner.outcomes),
        "settled": sum(runner.outcomes.values()),
        "refusals": dict(runner.refusals),
        "ledger": {
            "window": slack.span, "cap": slack.cap, "answered": round(slack.answered, 2),
            "charged": round(slack.charged, 2), "slack": round(slack.slack, 2),
            "share": round(slack.charged / slack.answered, 5) if slack.answered else None,
            "in_flight": runner.book.ledger.in_flight,
        },
        "answer_rate": round(runner.statistics.answer_rate.rate(now.utc, runner.segment)[0], 4),
        "talk_s": round(runner.statistics.talk.mean_s, 1),
        "wrap_s": round(runner.statistics.wrap.mean_s, 1),
        "threshold": None if decision is None else decision.why.threshold,
        "because": why[0][0] if why else None,
        "because_detail": why[0][1] if why else None,
    }  # fmt: skip
