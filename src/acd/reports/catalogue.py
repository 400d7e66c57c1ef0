"""Which reports there are: their names, what they can be told apart by, their columns, and how each is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from acd.domain.errors import ReportError, UnknownNameError
from acd.domain.values import valueclass
from acd.records.horizon import LATEST, announced, kept_from, taken_of
from acd.reports import agents, callers, callrows, measures, timeline, transfers
from acd.reports.ask import Ask, known, nearest
from acd.reports.cuts import UNITS
from acd.reports.database import Database
from acd.reports.keys import OF_CALLS, OF_STAYS
from acd.reports.measures import MEASURES
from acd.reports.model import Column, Heading, Kind, Report, Row
from acd.reports.stays import stays
from acd.reports.summary import Subject, summarize, tellable
from acd.store.times import to_datetime

Made = tuple[tuple[Column, ...], Iterable[Row], Row | None]
Make = Callable[[Database, Ask, list[str]], Made]

BY_MAX = 4


@valueclass(frozen=True, slots=True)
class Definition:
    """A report. ``by`` may be chosen from, ``by_default`` is taken otherwise; the same with ``columns``. ``options`` are the
    filters and rules that mean something to it."""

    name: str
    title: str
    about: str
    make: Make
    by: tuple[str, ...] = ()
    by_default: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    columns_default: tuple[str, ...] = ()
    options: frozenset[str] = frozenset({"queue", "agent", "client", "did"})
    grid: bool = False
    """Its rows make a grid: the first key down, the second across."""
    streamed: bool = False
    staffed: bool = False
    """It goes by what agents have (``Ask.agents_have``)."""

    @property
    def column_names(self) -> tuple[str, ...]:
        """All that --columns may name."""
        return tuple(column.name for column in self.columns)


_CALLS = ("queue", "agent", "client", "did")
_RULES = frozenset({*_CALLS, "threshold", "short"})
_ALL_MEASURES = tuple(measure.column for measure in MEASURES.values())
_SERVICE = (
    *(
        "offered",
        "answered",
        "abandoned",
        "short_abandoned",
        "service_level",
        "service_level_net",
        "asa_s",
        "wait_p50_s",
    ),
    *("wait_p90_s", "longest_wait_s", "aht_s", "transferred", "overflowed", "ronas", "open"),
)
_ENTRIES = (
    *("offered", "answered", "abandoned", "overflowed", "passed_on", "service_level", "service_level_net", "asa_s"),
    *("abandon_wait_s", "longest_wait_s", "transferred", "fallback", "open"),
)
_BRIEF = ("offered", "answered", "abandoned", "service_level", "asa_s", "aht_s")


def _summary(database: Database, ask: Ask, notes: list[str]) -> Made:
    columns, rows, total, unsummed = summarize(database, ask, ask.columns)
    if unsummed:
        notes.append(
            f"{unsummed} ended calls have no sums of their segments, so they count as calls, but in no wait or level: "
            "run `acd records verify`"
        )
    return columns, rows, total


def _entries(database: Database, ask: Ask, notes: list[str]) -> Made:
    subject = Subject(stays(ask), OF_STAYS, measures.OF_STAYS)
    columns, rows, total, _ = summarize(database, ask, ask.columns, subject)
    return columns, rows, total


def _outcomes(database: Database, ask: Ask, notes: list[str]) -> Made:
    """With each row's share of all calls."""
    columns, rows, total = _summary(database, replace(ask, columns=("offered", *ask.columns)), notes)
    assert total is not None, "a summary has one"
    at = len(ask.by)
    every = total[at]
    share = Column("share", "SHARE", Kind.SHARE, "of all calls of the range")
    offered = replace(columns[at], title="CALLS")

    def shared(row: Row) -> Row:
        return (*row[: at + 1], row[at] / every if every else None, *row[at + 1 :])

    return (*columns[:at], offered, share, *columns[at + 1 :]), [shared(row) for row in rows], shared(total)


def _agents(database: Database, ask: Ask, notes: list[str]) -> Made:
    return agents.figures(database, ask, ask.columns)


def _staffing(database: Database, ask: Ask, notes: list[str]) -> Made:
    if ask.agents_have:
        notes.append("agents' queues and skills: as configured at the end of the time; who has several counts for each")
    else:
        notes.append("which queues and skills agents had is not known: neither the database nor floor.yaml says")
    return agents.staffing(database, ask, ask.columns)


def _states(database: Database, ask: Ask, notes: list[str]) -> Made:
    return agents.states(database, ask)


def _timeline(database: Database, ask: Ask, notes: list[str]) -> Made:
    return timeline.COLUMNS, timeline.timeline(database, ask), None


def _abandoned(database: Database, ask: Ask, notes: list[str]) -> Made:
    rows = callers.abandoned(database, ask)
    withheld = sum(row[callers.REACHED] is None for row in rows)
    reached = sum(row[callers.REACHED] is True for row in rows)
    notes.append(
        f"{reached} of {len(rows)} callers were reached since"
        + (f", {withheld} withheld their number" * bool(withheld))
    )
    return callers.ABANDONED, rows, None


def _repeat(database: Database, ask: Ask, notes: list[str]) -> Made:
    notes.append(
        f"judged: answered calls with a number that entered at least {ask.within_days} days ago; what a caller rang "
        "about is not known, so a second matter counts as a repetition"
    )
    return callers.repeat(database, ask)


def _transfers(database: Database, ask: Ask, notes: list[str]) -> Made:
    return transfers.transfers(database, ask)


def _calls(database: Database, ask: Ask, notes: list[str]) -> Made:
    return callrows.COLUMNS, callrows.rows(database, ask), None


_CALL_KEYS = (*UNITS, *OF_CALLS)


def _of_calls(
    name: str, title: str, about: str, by: tuple[str, ...], columns: tuple[str, ...] = _SERVICE
) -> Definition:
    return Definition(
        name, title, about, _summary, _CALL_KEYS, by, _ALL_MEASURES, columns, _RULES, grid=name == "heatmap"
    )


def _told_by(name: str, title: str, about: str, by: tuple[str, ...]) -> Definition:
    columns = ("answered", "asa_s", "longest_wait_s", "aht_s")
    rest = tuple(column for column in _ALL_MEASURES if column.name != "offered")
    return Definition(name, title, about, _outcomes, _CALL_KEYS, by, rest, columns, _RULES)


_DEFINITIONS = (
    _of_calls("service", "Service level", "Offered, answered, abandoned; service level, waits, handling time.", ("queue",)),
    Definition(
        "entries", "Entries into queues", "What became of calls in each queue they came into, one after another.",
        _entries, (*UNITS, *OF_STAYS), ("queue",), tuple(measure.column for measure in measures.OF_STAYS.values()),
        _ENTRIES, _RULES,
    ),
    Definition(
        "agents", "Agents", "Time logged in, occupancy, shrinkage, calls and handling time of agents.", _agents,
        ("agent", *UNITS), ("agent",), tuple(figure.column for figure in agents.FIGURES.values()), agents.DEFAULT,
        frozenset({"agent"}),
    ),
    Definition(
        "staffing", "Staffing", "Time logged in, occupancy and shrinkage of the agents of queues, or with skills.",
        _staffing, (*agents.HAVE, *UNITS), ("queue",), tuple(agents.FIGURES[name].column for name in agents.TIMES),
        agents.TIMES_DEFAULT, frozenset({"agent"}), staffed=True,
    ),
    Definition(
        "states", "Agents' states", "Time in each state and for each reason.", _states,
        ("agent", "state", "reason", *UNITS), ("agent", "state", "reason"), options=frozenset({"agent"}),
    ),
    Definition(
        "timeline", "Timeline", "What an agent did, state by state, every reason, without a gap.", _timeline,
        columns=timeline.COLUMNS, options=frozenset({"agent"}),
    ),
    Definition(
        "abandoned", "Abandoned calls", "Who hung up waiting, and whether they have been reached since.", _abandoned,
        columns=callers.ABANDONED, options=frozenset({*_CALLS, "short"}),
    ),
    Definition(
        "repeat", "First contact", "Answered calls after which the same number called again within some days.", _repeat,
        (*UNITS, "queue", "agent", "client", "did", "disposition", "skill"), ("queue",),
        options=frozenset({*_CALLS, "within"}),
    ),
    _of_calls(
        "heatmap", "Hours of the week", "A figure by weekday and hour of day (--columns: which).",
        ("weekday", "hour_of_day"), _BRIEF,
    ),
    _told_by("outcomes", "Outcomes", "How calls ended.", ("outcome", "ended_by")),
    _told_by("dispositions", "Dispositions", "What agents said became of calls.", ("disposition",)),
    _told_by("tags", "Tags", "Calls by tag; one with two tags counts for both.", ("tag",)),
    Definition(
        "transfers", "Transfers", "Where calls were passed on to, and whether they came back.", _transfers,
        (*UNITS, *transfers.KEYS), ("kind", "queue", "target"),
    ),
    _of_calls("dids", "Numbers dialled", "Calls by the number that was dialled.", ("did",)),
    _of_calls("clients", "Clients", "Calls by whom they were handled for.", ("client",)),
    _of_calls(
        "skills", "Skills", "Calls by the skills they asked for when they came; one with two counts for both.", ("skill",),
    ),
    Definition(
        "calls", "Calls", "Every call as a row, however many.", _calls, columns=callrows.COLUMNS, streamed=True,
    ),
)  # fmt: skip

REPORTS: dict[str, Definition] = {definition.name: definition for definition in _DEFINITIONS}


def find(name: str) -> Definition:
    """The report of that name. Raises UnknownNameError with the nearest."""
    if name not in REPORTS:
        raise UnknownNameError("report", name, nearest(name, REPORTS))
    return REPORTS[name]


def checked(
    definition: Definition, by: Sequence[str], columns: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to tell rows apart by and which columns to show, defaults filled in. Raises UnknownNameError, ReportError."""
    if by and not definition.by:
        raise ReportError(f"`{definition.name}` is a list: it takes no --by")
    chosen = () if tuple(by) == ("all",) else known("interval or column", by, definition.by) or definition.by_default
    if len(chosen) > BY_MAX:
        raise ReportError(f"--by takes at most {BY_MAX} names, not {len(chosen)}")
    if definition.grid and len(chosen) != 2:
        raise ReportError(f"`{definition.name}` is a grid: it takes two names --by, such as weekday,hour_of_day")
    if columns and not definition.columns:
        raise ReportError(f"`{definition.name}` has no other columns to choose from")
    return chosen, known("column", columns, definition.column_names) or tellable(definition.columns_default, chosen)


def make(database: Database, definition: Definition, ask: Ask) -> Report:
    """Ask the database. ``ask.by`` and ``ask.columns`` as given; the report says what it went by."""
    by, columns = checked(definition, ask.by, ask.columns)
    ask = replace(ask, by=by, columns=columns)
    notes: list[str] = []
    made, rows, total = definition.make(database, ask, notes)
    heading = Heading(
        definition.name, _title(definition, made, by), ask.period.from_s, ask.period.to_s, ask.zone.key, ask.now, by,
        ask.filters.given(), _settings(definition, ask),
    )  # fmt: skip
    taken = _taken(database, definition, ask)
    notes += announced(taken, lambda at: f"{to_datetime(at).astimezone(ask.zone):%Y-%m-%d %H:%M}")
    report = Report(heading, made, rows, len(by), total, notes, streamed=definition.streamed, taken=taken)
    if definition.streamed:
        report.expected = callrows.count(database, ask)
    # Lists choose among the columns they have; the others were told which to make
    return _narrowed(report, columns) if columns and not definition.by else report


def _title(definition: Definition, columns: Sequence[Column], by: Sequence[str]) -> str:
    """A grid of other keys than its own says which."""
    if not definition.grid or tuple(by) == definition.by_default:
        return definition.title
    down, across = (column.title if column.title == "DID" else column.title.lower() for column in columns[:2])
    return f"{down[:1].upper()}{down[1:]} by {across}"


_STATES_ONLY = frozenset({"states", "timeline"})
_BESIDES = {
    "agents": ("agent_states",),
    "repeat": ("callers",),
    "abandoned": ("callers",),
    "calls": ("callers",),
}
"""What reports are made of besides calls."""


def _taken(database: Database, definition: Definition, ask: Ask) -> dict[str, float]:
    """What retention has taken of the range, as ``Report.taken``."""
    kinds: tuple[str, ...] = ("calls", *_BESIDES.get(definition.name, ()))
    if definition.name in _STATES_ONLY:
        kinds = ("agent_states",)
    if "skill" in ask.by:
        kinds = (*kinds, "decisions")
    runs = database.rows(LATEST)
    return taken_of(kept_from(runs[0].detail if runs else None), kinds, ask.period.from_s)


def _narrowed(report: Report, names: Sequence[str]) -> Report:
    places = [report.at(name) for name in names]
    rows = (tuple(row[place] for place in places) for row in report.rows)
    return replace(
        report, columns=tuple(report.columns[place] for place in places), rows=rows if report.streamed else list(rows)
    )


def _settings(definition: Definition, ask: Ask) -> tuple[tuple[str, str], ...]:
    said: list[tuple[str, str]] = []
    if "threshold" in definition.options:
        by_queue = [f"{name} {limit:g} s" for name, limit in sorted(ask.thresholds_s.items())]
        said.append(("threshold", ", ".join([*by_queue, f"{'others ' if by_queue else ''}{ask.threshold_s:g} s"])))
    if "short" in definition.options:
        said.append(("short", f"less than {ask.short_s:g} s"))
    if "within" in definition.options:
        said.append(("within", f"{ask.within_days} days"))
    return tuple(said)
