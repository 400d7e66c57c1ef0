"""Scenario files -> ``sim.Scenario``: which keys there are and what they mean together. Schema: docs/simulation.md.

``floor:`` is read exactly as floor.yaml is; the groups under ``agents:`` become agents of it first. All mistakes are found
in one reading, each with file, line and column.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from acd.cli.sim_floor import FloorText, scalar
from acd.cli.sim_values import YEAR_S, Values
from acd.config import LoadedFloor, Problem, ProblemsError, samples_dir
from acd.config.fields import Section, described
from acd.config.files import read_text
from acd.config.problems import Problems, show
from acd.config.yaml_lines import Mapping, Node, Scalar, Sequence, compose
from acd.domain.attributes import fault_of
from acd.domain.definition import FloorDefinition
from acd.domain.errors import UnknownNameError
from acd.domain.values import valueclass
from acd.sim.chance import Choice, Distribution
from acd.sim.scenario import (
    A_MINUTE,
    AT_ONCE,
    AgentGroup,
    Callers,
    ConnectionLost,
    Fault,
    PhonesFail,
    Scenario,
    Shift,
)

TOP_KEYS = ("description", "simulation", "floor", "callers", "agents", "faults")
RUN_KEYS = ("length", "warm_up", "replications", "batches", "lines", "waiting_room", "starts_at")
CALLER_KEYS = ("did", "arrivals", "talk", "patience", "attributes", "numbers")
HABIT_KEYS = ("answers", "declines", "misses", "returns", "shifts", "phone_states")
GROUP_KEYS = ("count", "members", *HABIT_KEYS)
MAX_AGENTS = 20_000
MAX_DESCRIPTION_CHARS = 300
MAX_FILE_BYTES = 16 * 1024 * 1024
SUFFIX = ".yaml"


@valueclass(frozen=True, slots=True)
class LoadedScenario:
    """A scenario that can be run, and what is nevertheless odd about it."""

    scenario: Scenario
    warnings: tuple[Problem, ...]


def samples_folder() -> Path:
    """Where the sample scenarios are."""
    return samples_dir() / "sim"


def scenario_files(folder: Path) -> list[Path]:
    """The scenario files of a folder, by name."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if path.is_file())


def find_scenario(name: str) -> Path:
    """The file ``name``, or the sample of that name. Raises UnknownNameError."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1 or path.exists():
        return path
    samples = {sample.stem: sample for sample in scenario_files(samples_folder())}
    if name in samples:
        return samples[name]
    near = min(
        samples, key=lambda sample: (not sample.startswith(name[:3]), abs(len(sample) - len(name))), default=None
    )
    raise UnknownNameError("sample scenario", name, near)


def load_scenario(path: Path) -> LoadedScenario:
    """Read a scenario file. Raises ProblemsError with everything that is wrong with it."""
    problems = Problems(str(path))
    text = read_text(path, problems, max_bytes=MAX_FILE_BYTES)
    root = compose(text, problems)
    if not isinstance(root, Mapping):
        if not problems.any_error:
            problems.error(1, 1, f"a scenario is a map with the keys {', '.join(TOP_KEYS)}")
        raise ProblemsError(problems.sorted())
    return _Reader(path, problems, root, text).read()


class _Reader:
    """One reading of one file."""

    def __init__(self, path: Path, problems: Problems, root: Mapping, text: str) -> None:
        self._path, self._problems = path, problems
        self._sources = {str(path): text.splitlines()}
        self._values = Values(problems)
        self._top = Section(problems, root, "the scenario", TOP_KEYS, private_prefix="x-")
        self._groups: dict[str, Section] = {}
        self._group_nodes: dict[str, tuple[Scalar, Node]] = {}

    def read(self) -> LoadedScenario:
        for key, node in self._top.entries_of("agents"):
            if self._top.name_ok(key, "group"):
                self._group_nodes[key.text] = (key, node)
        try:
            floor = self._floor()
        except ProblemsError as error:
            for problem in error.found:
                self._problems.keep(problem)
            # The rest is read all the same: everything that is wrong is said at once
            self._callers(None)
            self._run()
            habits = [self._habits(name, section, ()) for name, section in self._groups.items()]
            self._faults((*habits, AgentGroup("others", ()), AgentGroup("the-others", ())))
            raise ProblemsError(self._problems.sorted()) from None
        run = self._run()
        callers = self._callers(floor.definition)
        groups = self._agent_groups(floor.definition)
        faults = self._faults(groups)
        self._problems.raise_if_any_error()
        scenario = Scenario(
            name=self._path.stem,
            description=self._description(),
            definition=floor.definition,
            callers=callers,
            agents=groups,
            length_s=run.length_s,
            warm_up_s=run.warm_up_s,
            replications=run.replications,
            batches=run.batches,
            lines=run.lines,
            waiting_room=run.waiting_room,
            starts_at=run.starts_at,
            faults=faults,
        )
        return LoadedScenario(scenario, (*floor.warnings, *self._problems.sorted()))

    def _description(self) -> str:
        node = self._top.get("description")
        text = self._top.text_of(node, "description") if node is not None else None
        return " ".join((text or "").split())[:MAX_DESCRIPTION_CHARS]

    # -- the floor and its agents ------------------------------------------------------------------------------------

    def _floor(self) -> LoadedFloor:
        node = self._top.require("floor", "a floor as in floor.yaml, or the name of such a file")
        file = str(self._path)
        if isinstance(node, Scalar):
            path = self._path.parent / node.text
            other = Problems(str(path))
            source, file = read_text(path, other, max_bytes=MAX_FILE_BYTES), str(path)
            node = compose(source, other)
            other.raise_if_any_error()
            self._sources[file] = source.splitlines()
        if not isinstance(node, Mapping):
            if node is not None:
                self._top.wrong(node, f"floor must be a map as in floor.yaml, not {described(node)}")
            raise ProblemsError(self._problems.sorted())
        text = FloorText(file, self._sources)
        root = Mapping(node.line, node.column)
        root.entries = dict(node.entries)
        agents = Mapping(node.line, node.column)
        key = scalar("agents", node)
        known = node.entries.get("agents")
        if known is not None:
            key = known[0]
            if isinstance(known[1], Mapping):
                agents.entries = dict(known[1].entries)
            elif not (isinstance(known[1], Scalar) and known[1].is_null):
                return text.read(node)
        for name in self._group_nodes:
            self._add_agents(name, agents, text)
        if agents.entries:
            root.entries["agents"] = (key, agents)
        return text.read(root)

    def _add_agents(self, name: str, agents: Mapping, text: FloorText) -> None:
        """Put the agents of a group that has a count into the floor."""
        key, node = self._group_nodes[name]
        if not isinstance(node, Mapping):
            self._top.wrong(node, f"group {show(name)} must be a map, not {described(node)}")
            return
        others = tuple(node.entries)
        section = self._groups[name] = Section(self._problems, node, f"group {show(name)}", others, at=key)
        if section.get("members") is not None:
            for other in (entry[0] for entry in node.entries.values() if entry[0].text not in GROUP_KEYS):
                section.wrong(other, f"{show(other.text)} of group {show(name)}: its members have that from the floor")
            return
        count = section.whole("count", 1, 1, MAX_AGENTS)
        if len(agents.entries) + count > MAX_AGENTS:
            section.wrong(node, f"there are more than {MAX_AGENTS} agents")
            return
        width = max(2, len(str(count)))
        for number in range(1, count + 1):
            agent = f"{name}-{number:0{width}d}"
            made = Mapping(node.line, node.column)
            made.entries = {
                field: (entry[0], _numbered(entry[1], agent))
                for field, entry in node.entries.items()
                if field not in GROUP_KEYS
            }
            made.entries.setdefault(
                "number", (scalar("number", key), scalar(str(7_000_000 + len(agents.entries)), key))
            )
            made.entries.setdefault("phones", (scalar("phones", key), scalar(f"SIM/{agent}", key)))
            agent_key = scalar(agent, key)
            text.own[id(agent_key)] = str(self._path)
            agents.entries[agent] = (agent_key, made)

    def _agent_groups(self, floor: FloorDefinition) -> tuple[AgentGroup, ...]:
        taken: dict[str, str] = {}
        groups = []
        for name, section in self._groups.items():
            members = self._members(name, section, floor)
            for member in members:
                if taken.setdefault(member, name) != name:
                    section.problems.error(
                        section.line, section.column, f"agent {show(member)} is already in group {show(taken[member])}"
                    )
            groups.append(self._habits(name, section, members))
        rest = tuple(agent for agent in floor.agents if agent not in taken)
        if rest:
            groups.append(AgentGroup("others" if "others" not in self._groups else "the-others", rest))
        return tuple(groups)

    def _members(self, name: str, section: Section, floor: FloorDefinition) -> tuple[str, ...]:
        if section.get("members") is None:
            width = max(2, len(str(section.whole("count", 1, 1, MAX_AGENTS))))
            names = (f"{name}-{n:0{width}d}" for n in range(1, section.whole("count", 1, 1, MAX_AGENTS) + 1))
            return tuple(agent for agent in names if agent in floor.agents)
        items = section.items_of("members")
        return tuple(
            item.text for item in items if section.known(item, "agent", floor.agents, "agents in the floor section")
        )

    def _habits(self, name: str, section: Section, members: tuple[str, ...]) -> AgentGroup:
        values, label = self._values, section.label

        def lengths(key: str, default: Distribution) -> Distribution:
            node = section.get(key)
            return default if node is None else values.distribution(node, f"{key} of {label}") or default

        declines = values.share(section.get("declines"), f"declines of {label}")
        misses = values.share(section.get("misses"), f"misses of {label}")
        if declines + misses > 1.0:
            section.problems.error(
                section.line, section.column, f"declines and misses of {label} add up to more than 1"
            )
        return AgentGroup(
            name=name,
            members=members,
            answers=lengths("answers", AT_ONCE),
            declines=declines,
            misses=misses,
            returns=lengths("returns", A_MINUTE),
            shifts=self._shifts(section),
            phone_states=section.flag("phone_states", True),
        )

    def _shifts(self, group: Section) -> tuple[Shift, ...]:
        node = group.get("shifts")
        if node is None:
            return (Shift(),)
        if not isinstance(node, Sequence) or not node.items:
            group.wrong(node, f"shifts of {group.label} must be a list of maps {{from, to}}, not {described(node)}")
            return (Shift(),)
        shifts: list[Shift] = []
        for item in node.items:
            section = Section(self._problems, item, f"a shift of {group.label}", ("from", "to"))
            start_s = section.duration("from", 0.0, 0.0, YEAR_S)
            end_s = section.optional_duration("to", 0.0, YEAR_S)
            last_s = shifts[-1].end_s if shifts else 0.0
            if last_s is None or start_s < last_s or (end_s is not None and end_s <= start_s):
                group.wrong(item, f"the shifts of {group.label} must follow each other, each with from before to")
            shifts.append(Shift(start_s, end_s))
        return tuple(shifts)

    # -- callers -----------------------------------------------------------------------------------------------------

    def _callers(self, floor: FloorDefinition | None) -> tuple[Callers, ...]:
        self._top.require("callers", "at least one stream of callers, as NAME: {...}")
        found = []
        for key, node in self._top.entries_of("callers"):
            if self._top.name_ok(key, "callers"):
                callers = self._stream(key, node, floor)
                if callers is not None:
                    found.append(callers)
        return tuple(found)

    def _stream(self, key: Scalar, node: Node, floor: FloorDefinition | None) -> Callers | None:
        label = f"callers {show(key.text)}"
        section = Section(self._problems, node, label, CALLER_KEYS, at=key)
        values = self._values
        did_node = section.require("did", "the number they call")
        did = section.text_of(did_node, "did") if did_node is not None else None
        known = floor is None or did in floor.entry_points or "*" in floor.entry_points
        if did_node is not None and did and not known:
            message = f"did {show(did)} of {label} is no entry point: they take the fallback"
            self._problems.warning(did_node.line, did_node.column, message)
        arrivals_node = section.require("arrivals", "such as {poisson: 48/min}")
        arrivals = None if arrivals_node is None else values.arrivals(arrivals_node, f"arrivals of {label}")
        talk_node = section.require("talk", "how long they talk, such as {exponential: 3m}")
        talk = None if talk_node is None else values.distribution(talk_node, f"talk of {label}")
        patience_node = section.get("patience")
        patience = None if patience_node is None else values.distribution(patience_node, f"patience of {label}")
        numbers_node = section.get("numbers")
        numbers = None if numbers_node is None else values.numbers(numbers_node, f"numbers of {label}")
        attributes: dict[str, Choice] = {}
        for name, choice_node in section.entries_of("attributes"):
            fault = fault_of(name.text, "")
            if fault:
                section.wrong(name, f"attribute {show(name.text)} of {label} {fault}")
            choice = values.choice(choice_node, f"attribute {show(name.text)} of {label}")
            if choice is not None:
                attributes[name.text] = choice
        if arrivals is None or talk is None or not did:
            return None
        return Callers(key.text, did, arrivals, talk, patience, MappingProxyType(attributes), numbers)

    # -- the run and its faults --------------------------------------------------------------------------------------

    def _run(self) -> _Run:
        node = self._top.require("simulation", "a map with at least length")
        section = Section(self._problems, node or Mapping(1, 1), "simulation", RUN_KEYS)
        if node is not None:
            section.require("length", "how long callers come, such as 8h")
        length_s = section.duration("length", 3600.0, 1.0, YEAR_S)
        warm_up_s = section.duration("warm_up", 0.0, 0.0, YEAR_S)
        if warm_up_s >= length_s:
            self._problems.error(section.line, section.column, "warm_up must be shorter than length")
        lines = section.whole("lines", 0, 1, 1_000_000) if section.get("lines") is not None else None
        room = section.whole("waiting_room", 0, 0, 1_000_000) if section.get("waiting_room") is not None else None
        return _Run(
            length_s=length_s,
            warm_up_s=warm_up_s,
            replications=section.whole("replications", 1, 1, 10_000),
            batches=section.whole("batches", 20, 1, 10_000),
            lines=lines,
            waiting_room=room,
            starts_at=self._starts_at(section),
        )

    def _starts_at(self, section: Section) -> float:
        node = section.get("starts_at")
        if node is None:
            return 1_700_000_000.0
        text = section.text_of(node, "starts_at")
        try:
            moment = datetime.fromisoformat(text or "")
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None or not 0 < moment.timestamp() < 4e9:
            section.wrong(
                node,
                f"starts_at must be a date and time with its zone, such as 2026-03-02T08:00:00+01:00, not {show(text)}",
            )
            return 1_700_000_000.0
        return moment.timestamp()

    def _faults(self, groups: tuple[AgentGroup, ...]) -> tuple[Fault, ...]:
        node = self._top.get("faults")
        if node is None:
            return ()
        if not isinstance(node, Sequence):
            self._top.wrong(node, f"faults must be a list, not {described(node)}")
            return ()
        by_name = {group.name: group for group in groups}
        faults: list[Fault] = []
        for item in node.items:
            section = Section(self._problems, item, "a fault", ("phones_fail", "connection_lost"))
            for key, value in item.entries.values() if isinstance(item, Mapping) else ():
                if key.text == "phones_fail":
                    faults.append(self._phones_fail(value, by_name))
                elif key.text == "connection_lost":
                    lost = Section(self._problems, value, "connection_lost", ("at", "for"))
                    faults.append(ConnectionLost(*self._when(lost)))
            if isinstance(item, Mapping) and len(item.entries) != 1:
                section.wrong(item, "a fault is a map of one key: phones_fail or connection_lost")
        return tuple(faults)

    def _phones_fail(self, node: Node, groups: dict[str, AgentGroup]) -> PhonesFail:
        section = Section(self._problems, node, "phones_fail", ("agents", "at", "for", "how", "reported"))
        section.require("agents", "a list of groups")
        agents = [
            member
            for item in section.items_of("agents")
            if section.known(item, "group", groups, "agents")
            for member in groups[item.text].members
        ]
        at_s, for_s = self._when(section)
        how = section.get("how")
        text = (section.text_of(how, "how") if how is not None else None) or "unreachable"
        reported = section.flag("reported", False)
        if text == "silent":
            return PhonesFail(tuple(agents), at_s, for_s, "silent", reported)
        if text == "congestion":
            return PhonesFail(tuple(agents), at_s, for_s, "congestion", reported)
        if how is not None and text != "unreachable":
            section.wrong(how, f"how of phones_fail must be unreachable, congestion or silent, not {show(text)}")
        return PhonesFail(tuple(agents), at_s, for_s, "unreachable", reported)

    def _when(self, section: Section) -> tuple[float, float]:
        section.require("at", "when it begins, from the start")
        section.require("for", "how long it lasts")
        return section.duration("at", 0.0, 0.0, YEAR_S), section.duration("for", 1.0, 0.001, YEAR_S)


@valueclass(frozen=True, slots=True)
class _Run:
    length_s: float
    warm_up_s: float
    replications: int
    batches: int
    lines: int | None
    waiting_room: int | None
    starts_at: float


def _numbered(node: Node, agent: str) -> Node:
    """``{agent}`` in phones and names stands for the agent's name."""
    if isinstance(node, Scalar):
        return scalar(node.text.replace("{agent}", agent), node, plain=node.plain) if "{agent}" in node.text else node
    if isinstance(node, Sequence) and any(isinstance(item, Scalar) and "{agent}" in item.text for item in node.items):
        made = Sequence(node.line, node.column)
        made.items = [_numbered(item, agent) for item in node.items]
        return made
    return node
