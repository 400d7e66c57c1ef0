"""One campaign of floor.yaml -> Campaign: what it dials, how, and by whose rules, checked against the floor.

What the profile forbids is an error, unless ``rules:`` say otherwise, and that they do is then a warning.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping as Mapping_
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from acd.config.context import DAY_S, PRIORITY_LIMIT, Context
from acd.config.fields import MAX_TEXT_CHARS, Section, described
from acd.config.hours_reader import read_zone
from acd.config.places import SOUND
from acd.config.problems import nearest, show
from acd.config.rules_reader import read_rules
from acd.config.trunk_reader import read_caller_ids, read_trunk
from acd.config.yaml_lines import Mapping, Node, Scalar, Sequence
from acd.dialer.windows import both
from acd.domain.annotations import disposition_fault
from acd.domain.campaignlines import serves
from acd.domain.campaigns import (
    ATTEMPTS,
    CLASSIFIER,
    KEYS,
    NUMBER_ATTEMPTS,
    OPT_OUT_KEY,
    RATIO,
    USUAL_RETRIES,
    AttemptOutcome,
    CallerIds,
    Campaign,
    Disposition,
    Effect,
    Lapse,
    Mix,
    Mode,
    PreviewTerms,
    Retry,
    Trunk,
)
from acd.domain.dialrules import Rules
from acd.domain.hours import OpeningHours

if TYPE_CHECKING:
    from acd.domain.definition import FloorDefinition

CAMPAIGN_KEYS = (
    "agents",
    "amd",
    "attempts",
    "caller_ids",
    "cap",
    "client",
    "connect",
    "dispositions",
    "hours",
    "lists",
    "machine_message",
    "message",
    "mix",
    "mode",
    "need",
    "number_attempts",
    "opt_out_key",
    "preview",
    "priority",
    "profile",
    "queue",
    "ratio",
    "retry",
    "ring",
    "rules",
    "script",
    "time_zone",
    "trunk",
    "weight",
)
RETRY_KEYS = ("after", "backoff", "longest", "most", "number")
MIX_KEYS = ("callbacks", "queue_callbacks", "retries", "new")
AMD_KEYS = ("audit", "context", "within")
DISPOSITION_KEYS = ("again",)
PREVIEW_KEYS = ("for", "then", "again", "script")
_SCRIPT_MAX = 4_000
#: Nobody is called again after these.
FINAL = (AttemptOutcome.ANSWERED, AttemptOutcome.OPTED_OUT)
NEVER = AttemptOutcome.WITHDRAWN
_OVER_DIAL = (Mode.POWER, Mode.PREDICTIVE)
_RING_S, _AMD_S, _AMD_LEAST_S = 25.0, 5.0, 1.0
_NUMBERS = ("same", "next")
_RETRY_MAX_S = 90 * DAY_S
_AUDIT_MOST = 0.5


class CampaignReader:
    """Reads trunks, sets of caller IDs and campaigns. ``sections``: where each campaign stands."""

    def __init__(self, context: Context, top: Section, hours: Mapping_[str, OpeningHours]) -> None:
        self._context, self._top, self._hours = context, top, hours
        self.sections: dict[str, Section] = {}
        self.trunks: dict[str, Trunk] = {
            key.text: read_trunk(context, key, node) for key, node in self._named("trunks", "trunk")
        }
        self.caller_ids: dict[str, CallerIds] = {
            key.text: read_caller_ids(context, key, node)
            for key, node in self._named("caller_ids", "set of caller IDs")
        }
        self.campaigns: dict[str, Campaign] = {
            key.text: self._campaign(key, node) for key, node in self._named("campaigns", "campaign")
        }
        self._check_names()
        self._warn_of_twins()

    def _named(self, key: str, what: str) -> list[tuple[Scalar, Node]]:
        return [(name, node) for name, node in self._top.entries_of(key) if self._top.name_ok(name, what)]

    def _campaign(self, key: Scalar, node: Node) -> Campaign:
        context = self._context
        section = Section(context.problems, node, f"campaign {show(key.text)}", CAMPAIGN_KEYS, at=key)
        self.sections[key.text] = section
        errors = context.problems.errors
        mode = self._mode(section)
        agents, need = self._agents(section), section.get("need")
        named_alone = bool(agents) and section.get("queue") is None
        queue = (
            ""
            if named_alone
            else self._one_of(
                section, "queue", context.queues, "the queue whose agents serve it (or agents: their names)", "queues"
            )
        )
        trunk = self._one_of(section, "trunk", self.trunks, "the way out", "trunks")
        shown = self._one_of(
            section, "caller_ids", self.caller_ids, "the set of numbers that it may show", "caller_ids"
        )
        profile, rules, changed = read_rules(section)
        hours = self._hours_of(section)
        amd_s, classifier, audit = self._amd(section)
        ratio = section.number("ratio", 1, 20)
        if ratio is not None and mode is not Mode.POWER:
            self._warn(section, "ratio", f"ratio of {section.label} is never used: it needs mode: power")
        if section.get("ratio") is None and mode is Mode.POWER:
            self._warn(section, "mode", f"{section.label} has no ratio: it places {RATIO:g} lines for an idle agent")
        weight = section.number("weight", 0.001, 1_000)
        campaign = Campaign(
            name=key.text,
            mode=mode,
            queue=queue,
            trunk=trunk,
            caller_ids=shown,
            rules=self._capped(section, rules),
            lists=self._lists(section),
            profile=profile.name,
            changed=changed,
            hours=hours,
            zone=self._zone(section, hours),
            client=section.client(),
            ratio=RATIO if ratio is None else ratio,
            ring_s=section.duration("ring", max(_RING_S, rules.ring_s), 1, 120),
            connect_s=section.duration("connect", rules.connect_s, 0, 30),
            message=self._message(section, "message"),
            machine_message=self._machine_message(section, amd_s is not None),
            opt_out_key=self._opt_out_key(section),
            amd=amd_s is not None,
            amd_s=_AMD_S if amd_s is None else amd_s,
            classifier=classifier,
            attempts=section.whole("attempts", ATTEMPTS, 1, 1_000),
            number_attempts=section.whole("number_attempts", NUMBER_ATTEMPTS, 1, 1_000),
            retries=self._retries(section),
            mix=self._mix(section),
            priority=section.whole("priority", 0, -PRIORITY_LIMIT, PRIORITY_LIMIT),
            weight=1.0 if weight is None else weight,
            preview=self._preview(section, mode),
            agents=agents,
            script=self._script(section),
            need=None if need is None else context.expression(section, need, "need"),
            dispositions=self._dispositions(section, audit),
            amd_audit=audit,
        )
        if context.problems.errors == errors:
            self._check_figures(section, campaign)
        return campaign

    # -- single keys ---------------------------------------------------------------------------------------------------

    def _mode(self, section: Section) -> Mode:
        if section.require("mode", f"one of {', '.join(Mode)}") is None:
            return Mode.PREVIEW
        words = tuple(mode.value for mode in Mode)
        chosen = section.choice("mode", words, Mode.PREVIEW.value)
        return Mode(chosen) if chosen in words else Mode.PREVIEW

    def _one_of(self, section: Section, key: str, right: Collection[str], what: str, where: str) -> str:
        node = section.require(key, what)
        text = section.text_of(node, key) if node is not None else None
        if text is None or not isinstance(node, Scalar):
            return ""
        return text if section.known(node, _WHAT[where], right, where) else ""

    def _hours_of(self, section: Section) -> str | None:
        node = section.get("hours")
        text = section.text_of(node, "hours") if node is not None else None
        if text is None or not isinstance(node, Scalar):
            return None
        return text if section.known(node, "hours", self._hours, "hours") else None

    def _zone(self, section: Section, hours: str | None) -> str:
        """By whose days abandonments are counted: the campaign's own, else that of its hours."""
        if section.get("time_zone") is None and hours is not None:
            return str(self._hours[hours].time_zone)
        return str(read_zone(section))

    def _agents(self, section: Section) -> tuple[str, ...]:
        known, node = self._context.agents, section.get("agents")
        if isinstance(node, Sequence) and not node.items:
            section.wrong(
                node, f"agents of {section.label} is empty: name them, or leave the key out for all of the queue's"
            )
        return tuple(item.text for item in section.items_of("agents") if section.known(item, "agent", known, "agents"))

    def _lists(self, section: Section) -> tuple[str, ...]:
        return tuple(item.text for item in section.items_of("lists") if section.name_ok(item, "list"))

    def _machine_message(self, section: Section, amd: bool) -> str | None:
        found = self._message(section, "machine_message")
        if found is not None and not amd:
            detail = f"machine_message of {section.label} is never used: nobody tells machines from people without amd"
            self._warn(section, "machine_message", detail)
        return found

    def _message(self, section: Section, key: str) -> str | None:
        node = section.get(key)
        text = section.text_of(node, key) if node is not None else None
        if node is None or text is None:
            return None
        if SOUND.fullmatch(text) and ".." not in text and len(text) <= MAX_TEXT_CHARS:
            return text
        section.wrong(
            node,
            f"{key} of {section.label}: {show(text)} is no sound; write its name as Playback takes it, without the "
            "ending, for example custom/who-called",
        )
        return None

    def _opt_out_key(self, section: Section) -> str:
        # A # without quotes begins a remark, and leaves nothing
        node = section.get("opt_out_key") or section.key("opt_out_key")
        if node is None:
            return OPT_OUT_KEY
        if section.get("opt_out_key") is None:
            section.wrong(
                node, f'opt_out_key of {section.label} is empty; write 0 to 9, "*" or "#" (these two in quotes)'
            )
            return OPT_OUT_KEY
        if isinstance(node, Scalar) and len(node.text) == 1 and node.text in KEYS:
            return node.text
        section.wrong(
            node,
            f'opt_out_key of {section.label} must be one key of a telephone, 0 to 9, "*" or "#" (these two in quotes), not '
            f"{described(node)}",
        )
        return OPT_OUT_KEY

    def _amd(self, section: Section) -> tuple[float | None, str, float]:
        """How long it may take to tell machines from people, ``None``: nobody does; the context of the dialplan that
        does it instead of Asterisk's AMD, or nothing; the share of machines that agents look at."""
        node = section.get("amd")
        if node is None:
            return None, "", 0.0
        if isinstance(node, Mapping):
            part = Section(section.problems, node, f"amd of {section.label}", AMD_KEYS)
            classifier = self._classifier(part)
            within_s = part.duration("within", _AMD_S, 0.1 if classifier else _AMD_LEAST_S, 10)
            return within_s, classifier, part.number("audit", 0, _AUDIT_MOST) or 0.0
        return (_AMD_S if section.flag("amd", False) else None), "", 0.0

    def _dispositions(self, section: Section, audit: float) -> Mapping_[str, Disposition]:
        """Words for what a call came to, each with what follows."""
        found: dict[str, Disposition] = {}
        for key, node in section.entries_of("dispositions"):
            fault = disposition_fault(key.text)
            if fault:
                section.wrong(key, f"disposition {show(key.text)} of {section.label} {fault}")
                continue
            said = self._disposition(section, key, node)
            if said is not None:
                found[key.text] = said
        if audit and not any(one.effect is Effect.MACHINE for one in found.values()):
            self._warn(
                section,
                "amd",
                f"amd of {section.label} is audited, and agents have no word for a machine: write dispositions: "
                "{answering machine: machine}",
            )
        return MappingProxyType(found)

    def _disposition(self, section: Section, key: Scalar, node: Node) -> Disposition | None:
        """What follows one of them; None after noting what is wrong."""
        label = f"disposition {show(key.text)} of {section.label}"
        if isinstance(node, Mapping):
            part = Section(section.problems, node, label, DISPOSITION_KEYS)
            after_s = part.optional_duration("again", 60, _RETRY_MAX_S)
            if part.get("again") is None:
                section.wrong(node, f"{label} must say what follows, such as {{again: 2h}}")
            return None if after_s is None else Disposition(Effect.AGAIN, after_s)
        words = tuple(one.value for one in Effect)
        text = section.text_of(node, f"disposition {show(key.text)}")
        if text is None:
            return None
        if text == Effect.AGAIN:
            section.wrong(node, f"{label} must say when: {{again: 2h}}")
            return None
        if text not in words:
            section.wrong(node, f"{label}: there is no {show(text)}{section.hint(text, words)}")
            return None
        return Disposition(Effect(text))

    def _classifier(self, part: Section) -> str:
        node = part.get("context")
        text = part.text_of(node, "context") if node is not None else None
        if node is None or text is None or CLASSIFIER.fullmatch(text):
            return text or ""
        part.wrong(
            node,
            f"context of {part.label}: {show(text)} cannot be a context of the dialplan; write its name alone, such as "
            "my-classifier",
        )
        return ""

    def _preview(self, section: Section, mode: Mode) -> PreviewTerms:
        """How contacts are shown to agents."""
        usual, node = PreviewTerms(), section.get("preview")
        if node is None:
            return usual
        if mode is not Mode.PREVIEW:
            self._warn(section, "preview", f"preview of {section.label} is never used: it needs mode: preview")
        part = Section(section.problems, node, f"preview of {section.label}", PREVIEW_KEYS)
        then = part.choice("then", tuple(one.value for one in Lapse), usual.then.value)
        return PreviewTerms(
            part.duration("for", usual.look_s, 1, 3_600),
            Lapse(then) if then in tuple(Lapse) else usual.then,
            part.duration("again", usual.again_s, 0, 90 * DAY_S),
            self._script(part),
        )

    def _script(self, part: Section) -> str:
        node = part.get("script")
        text = part.text_of(node, "script") if node is not None else None
        if node is None or text is None:
            return ""
        if len(text) > _SCRIPT_MAX or not all(line.isprintable() for line in text.splitlines()):
            part.wrong(node, f"script of {part.label} must be text of at most {_SCRIPT_MAX} characters")
        return text

    def _capped(self, section: Section, rules: Rules) -> Rules:
        """With the campaign's own cap, which may only be lower."""
        cap, node = section.number("cap", 0.001, 0.5), section.get("cap")
        if cap is None or node is None:
            return rules
        if cap > rules.cap:
            section.wrong(
                node,
                f"cap of {section.label} is {cap:.1%}, above the {rules.cap:.1%} of its rules; if the law allows it, write "
                f"rules: {{caps: {{{rules.caps[0].span}: {cap:g}}}}}",
            )
            return rules
        return replace(rules, caps=tuple(replace(rule, cap=min(rule.cap, cap)) for rule in rules.caps))

    def _retries(self, section: Section) -> Mapping_[AttemptOutcome, Retry]:
        found = dict(USUAL_RETRIES)
        known = {outcome.value: outcome for outcome in AttemptOutcome if outcome not in (*FINAL, NEVER)}
        for key, node in section.entries_of("retry"):
            if key.text in tuple(FINAL):
                section.wrong(
                    key,
                    f"retry of {section.label}: nobody is called again by itself after {key.text}; arrange a callback",
                )
                continue
            if key.text == NEVER:
                section.wrong(key, f"retry of {section.label}: what was {key.text} was never dialled, and is as it was")
                continue
            if key.text not in known:
                section.wrong(
                    key,
                    f"retry of {section.label}: no attempt comes to {show(key.text)}{section.hint(key.text, known)}",
                )
                continue
            outcome = known[key.text]
            usual = USUAL_RETRIES[outcome]
            if isinstance(node, Scalar) and node.text == "never":
                found[outcome] = replace(usual, most=0)
                continue
            if not isinstance(node, Mapping):
                section.wrong(
                    node,
                    f"retry of {section.label}: {key.text} must be never, or a map such as {{after: 30m, most: 3}}, not "
                    f"{described(node)}",
                )
                continue
            part = Section(section.problems, node, f"retry after {key.text} of {section.label}", RETRY_KEYS, at=key)
            backoff = part.number("backoff", 1, 100)
            number = part.choice("number", _NUMBERS, "same" if usual.same_number else "next")
            found[outcome] = Retry(
                after_s=part.duration("after", usual.after_s, 0, _RETRY_MAX_S),
                most=part.whole("most", usual.most, 0, 100),
                backoff=usual.backoff if backoff is None else backoff,
                longest_s=part.duration("longest", usual.longest_s, 0, _RETRY_MAX_S),
                same_number=number == "same",
            )
        return MappingProxyType(found)

    def _mix(self, section: Section) -> Mix:
        node = section.get("mix")
        if node is None:
            return Mix()
        part = Section(section.problems, node, f"mix of {section.label}", MIX_KEYS)
        usual = Mix()
        weights = {key: part.number(key, 0, 10_000) for key in MIX_KEYS}
        mix = Mix(**{key: getattr(usual, key) if value is None else value for key, value in weights.items()})
        if not any(getattr(mix, key) for key in MIX_KEYS):
            said = f"{part.label} gives nothing a share: callbacks, retries and new contacts take turns"
            section.problems.warning(node.line, node.column, said)
        return mix

    # -- what fits together --------------------------------------------------------------------------------------------

    def _check_figures(self, section: Section, campaign: Campaign) -> None:
        rules, by = campaign.rules, f"profile {campaign.profile}"
        if campaign.ring_s < rules.ring_s:
            self._error(
                section,
                "ring",
                f"ring of {section.label} is {campaign.ring_s:g} s, {by} asks for {rules.ring_s:g} s at least before a "
                f"line is given up; if the law allows it, write rules: {{ring: {campaign.ring_s:g}s}}",
            )
        if campaign.connect_s > rules.connect_s:
            self._error(
                section,
                "connect",
                f"connect of {section.label} is {campaign.connect_s:g} s, by {by} an agent must be there within "
                f"{rules.connect_s:g} s; if the law allows it, write rules: {{connect: {campaign.connect_s:g}s}}",
            )
        elif campaign.amd and campaign.amd_s > campaign.connect_s:
            self._error(
                section,
                "amd",
                f"amd of {section.label} takes up to {campaign.amd_s:g} s, but an agent must be there within "
                f"{campaign.connect_s:g} s; write amd: {{within: {campaign.connect_s:g}s}} at most, or do without",
            )
        if campaign.mode in _OVER_DIAL and rules.message and campaign.message is None:
            self._error(
                section,
                "mode",
                f"{section.label} may abandon people, and {by} wants them to hear who called: it needs message: the "
                "name of a sound, such as custom/who-called",
            )
        if campaign.hours is not None:
            self._check_hours(section, campaign)

    def _check_hours(self, section: Section, campaign: Campaign) -> None:
        """The campaign's hours against those at which people who live by its own clock may be called."""
        assert campaign.hours is not None
        own = self._hours[campaign.hours]
        days = zip(own.week, campaign.rules.hours.week, strict=True)
        if any(both(mine, law) for mine, law in days):
            return
        if str(own.time_zone) == campaign.zone and not any(own.exceptions.values()):
            self._error(
                section,
                "hours",
                f"{section.label} never opens: hours {campaign.hours} and the calling hours of profile {campaign.profile} "
                f"have no time in common in {campaign.zone}; write the time_zone of the people called, or other hours",
            )

    def _check_names(self) -> None:
        """A campaign has a waiting line of its own, which bears its name."""
        for key, _ in self._top.entries_of("campaigns"):
            if key.text in self._context.queues:
                self._top.wrong(
                    key,
                    f"campaign {show(key.text)} is called as a queue is; each has a waiting line of its own name, so choose "
                    "another",
                )

    def _warn_of_twins(self) -> None:
        if self._context.problems.any_error:
            return
        seen: dict[tuple[str | None, str], str] = {}
        for key, _ in self._top.entries_of("trunks"):
            trunk = self.trunks.get(key.text)
            if trunk is None:
                continue
            first = seen.setdefault((trunk.node, trunk.dial), trunk.name)
            if first != trunk.name:
                self._context.problems.warning(
                    key.line,
                    key.column,
                    f"trunk {show(trunk.name)} dials as {show(first)} does: each counts its lines by itself",
                )

    def _error(self, section: Section, key: str, message: str) -> None:
        place = section.get(key) or section
        section.problems.error(place.line, place.column, message)

    def _warn(self, section: Section, key: str, message: str) -> None:
        place = section.key(key) or section
        section.problems.warning(place.line, place.column, message)


_WHAT = {"queues": "queue", "trunks": "trunk", "caller_ids": "set of caller IDs"}


def check_campaigns(floor: FloorDefinition, reader: CampaignReader) -> None:
    """Warn of campaigns that would dial nobody."""
    for campaign in floor.campaigns.values():
        section = reader.sections[campaign.name]
        theirs = [agent for agent in floor.agents.values() if serves(agent, campaign)]
        if not theirs:
            of = f"of agents ({', '.join(campaign.agents)}) " if campaign.agents else ""
            message = f"{section.label} has no agents: nobody {of}is in queue {campaign.queue}, so it dials nobody"
            section.problems.warning(section.line, section.column, message)
        elif campaign.need is not None and not any(campaign.need.could_admit(agent.skills) for agent in theirs):
            place = section.get("need") or section
            message = f"none of the agents of {section.label} has the skills that need asks for, so it dials nobody"
            section.problems.warning(place.line, place.column, message)
        if not campaign.lists and campaign.mode is not Mode.MANUAL:
            message = f"{section.label} names no lists, so it dials nobody"
            section.problems.warning(section.line, section.column, message)


def unknown_nodes(floor: FloorDefinition, nodes: Collection[str]) -> list[str]:
    """What is wrong with the nodes that trunks name, where acd.toml has these ``nodes``: a sentence each."""
    found = []
    for trunk in floor.trunks.values():
        if trunk.node is None:
            if len(nodes) > 1:
                listed = ", ".join(sorted(nodes))
                found.append(f"trunk {show(trunk.name)} needs node: there are several in acd.toml ({listed})")
        elif trunk.node not in nodes:
            hint = nearest(trunk.node, nodes)
            found.append(f"trunk {show(trunk.name)}: acd.toml has no node {show(trunk.node)} under asterisk{hint}")
    return found
