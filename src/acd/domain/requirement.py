"""What a call needs of an agent, once every attribute of the call has been put in: ranges of proficiency, AND, OR.

Frozen, hashable and canonical, so that equal needs are one class of calls to the matcher: ``not`` has become ranges,
operands are sorted, duplicates and what follows from a neighbour are gone. Knows nothing of texts to parse, calls or
agents; an agent is a mapping of skill to proficiency here.

Theory of operation. A proficiency is one of 102 levels: -1 (does not have the skill) and 0 to 100. Whatever is said of
one skill alone is therefore a set of levels, an int of 102 bits: AND, OR and NOT of such sets are exact and cheap. Only
terms over several skills stay a tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import ceil, floor
from typing import Final

ABSENT: Final = -1
"""The level of an agent who does not have the skill."""
LEVEL_MAX: Final = 100
ALL_LEVELS: Final = (1 << (LEVEL_MAX - ABSENT + 1)) - 1


def levels_between(low: int, high: int) -> int:
    """The set of the levels from ``low`` to ``high``, both included; what lies outside -1..100 is cut off."""
    low, high = max(low, ABSENT), min(high, LEVEL_MAX)
    return ((1 << (high - low + 1)) - 1) << (low - ABSENT) if low <= high else 0


def levels_where(operator: str, value: float | None) -> int:
    """The set of the levels for which ``level operator value`` holds; none for ``None``, which is no number."""
    if value is None:
        return 0
    # of huge numbers and infinities only the side counts; -3 and 102 lie beyond every level
    value = max(-3, min(102, value))
    if operator == ">=":
        return levels_between(ceil(value), LEVEL_MAX)
    if operator == ">":
        return levels_between(floor(value) + 1, LEVEL_MAX)
    if operator == "<=":
        return levels_between(ABSENT, floor(value))
    if operator == "<":
        return levels_between(ABSENT, ceil(value) - 1)
    equal = levels_between(int(value), int(value)) if value == int(value) else 0
    return equal if operator == "==" else ALL_LEVELS & ~equal


class Requirement:
    """Base of ``Anyone``, ``Nobody``, ``Except``, ``SkillIn``, ``AllOf``, ``AnyOf``; made with ``all_of`` and ``any_of``.

    ``text`` is an expression that means the same, ``skills`` the names in it. Equal when the texts are.
    """

    __slots__ = ("_hash", "skills", "text")

    text: str
    skills: frozenset[str]
    _hash: int

    def _seal(self, text: str, skills: frozenset[str]) -> None:
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "skills", skills)
        object.__setattr__(self, "_hash", hash(text))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Requirement) and self.text == other.text)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.text}>"

    def admits(self, skills: Mapping[str, int]) -> bool:
        """Whether an agent of these proficiencies may serve the call."""
        raise NotImplementedError

    def why_not(self, skills: Mapping[str, int]) -> str:
        """The first unmet term in words (``needs billing >= 60, has 40``); empty when admitted."""
        raise NotImplementedError


class Anyone(Requirement):
    """Everybody will do."""

    __slots__ = ()

    def __init__(self) -> None:
        self._seal("anyone", frozenset())

    def admits(self, skills: Mapping[str, int]) -> bool:
        return True

    def why_not(self, skills: Mapping[str, int]) -> str:
        return ""


class Nobody(Requirement):
    """No agent can meet it, whatever the skills."""

    __slots__ = ()

    def __init__(self) -> None:
        self._seal("nobody", frozenset())

    def admits(self, skills: Mapping[str, int]) -> bool:
        return False

    def why_not(self, skills: Mapping[str, int]) -> str:
        return "nobody can meet it"


class Except(Requirement):
    """Everybody but ``agents``, whatever their skills: who a call is not offered to again. Which agents they are, who
    knows agents by name must say; ``admits`` knows of skills alone."""

    __slots__ = ("agents",)

    agents: frozenset[str]

    def __init__(self, agents: frozenset[str]) -> None:
        object.__setattr__(self, "agents", agents)
        self._seal(" and ".join(f"not agent {agent}" for agent in sorted(agents)), frozenset())

    def admits(self, skills: Mapping[str, int]) -> bool:
        return True

    def why_not(self, skills: Mapping[str, int]) -> str:
        return ""


class SkillIn(Requirement):
    """``skill`` at ``low`` to ``high``, both included, each from -1 to 100; never all levels."""

    __slots__ = ("high", "low", "skill")

    skill: str
    low: int
    high: int

    def __init__(self, skill: str, low: int, high: int = LEVEL_MAX) -> None:
        if not ABSENT <= low <= high <= LEVEL_MAX or (low == ABSENT and high == LEVEL_MAX):
            raise ValueError(f"{skill}: {low} to {high} is no range of proficiency")
        object.__setattr__(self, "skill", skill)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)
        self._seal(_range_text(skill, low, high), frozenset((skill,)))

    def admits(self, skills: Mapping[str, int]) -> bool:
        return self.low <= skills.get(self.skill, ABSENT) <= self.high

    def why_not(self, skills: Mapping[str, int]) -> str:
        level = skills.get(self.skill, ABSENT)
        if self.low <= level <= self.high:
            return ""
        return f"needs {self.text}, {'does not have it' if level == ABSENT else f'has {level}'}"


def _range_text(skill: str, low: int, high: int) -> str:
    if high == LEVEL_MAX:
        return f"{skill} >= {low}"
    if low == ABSENT:
        return f"{skill} <= {high}" if high > ABSENT else f"{skill} < 0"
    return f"{skill} == {low}" if low == high else f"{skill} >= {low} and {skill} <= {high}"


class AllOf(Requirement):
    """Every one of ``items``: at least two, of ``SkillIn`` and ``AnyOf``. Made by ``all_of``."""

    __slots__ = ("items",)

    items: tuple[Requirement, ...]

    def __init__(self, items: tuple[Requirement, ...]) -> None:
        object.__setattr__(self, "items", items)
        texts = (f"({item.text})" if isinstance(item, AnyOf) else item.text for item in items)
        self._seal(" and ".join(texts), frozenset().union(*(item.skills for item in items)))

    def admits(self, skills: Mapping[str, int]) -> bool:
        return all(item.admits(skills) for item in self.items)

    def why_not(self, skills: Mapping[str, int]) -> str:
        return next((reason for item in self.items if (reason := item.why_not(skills))), "")


class AnyOf(Requirement):
    """One of ``items``: at least two, of ``SkillIn`` and ``AllOf``. Made by ``any_of``."""

    __slots__ = ("items",)

    items: tuple[Requirement, ...]

    def __init__(self, items: tuple[Requirement, ...]) -> None:
        object.__setattr__(self, "items", items)
        self._seal(" or ".join(item.text for item in items), frozenset().union(*(item.skills for item in items)))

    def admits(self, skills: Mapping[str, int]) -> bool:
        return any(item.admits(skills) for item in self.items)

    def why_not(self, skills: Mapping[str, int]) -> str:
        if self.admits(skills):
            return ""
        has = (f"{skill} {skills.get(skill, ABSENT)}" for skill in sorted(self.skills) if skills.get(skill, -1) >= 0)
        return f"needs {self.text}, has {', '.join(has) or 'none of these'}"


ANYONE: Final = Anyone()
NOBODY: Final = Nobody()


def skill_levels(skill: str, levels: int) -> Requirement:
    """``skill`` at one of a set of ``levels`` (see ``levels_between``)."""
    if levels == ALL_LEVELS:
        return ANYONE
    ranges = tuple(SkillIn(skill, low, high) for low, high in _ranges(levels))
    if not ranges:
        return NOBODY
    return ranges[0] if len(ranges) == 1 else AnyOf(ranges)


def at_least(skill: str, minimum: int) -> Requirement:
    """``skill`` at ``minimum`` or better."""
    return skill_levels(skill, levels_between(minimum, LEVEL_MAX))


def all_of(items: Iterable[Requirement]) -> Requirement:
    """The canonical requirement that is met when all of ``items`` are; ``ANYONE`` for none."""
    levels, compound = _gather(items, AllOf)
    if NOBODY in compound or not all(levels.values()):
        return NOBODY
    # (a or b) is no news where a is required anyway
    kept = {item for item in compound if not any(_implies(levels, branch) for branch in _branches(item))}
    parts = [skill_levels(skill, mask) for skill, mask in levels.items() if mask != ALL_LEVELS]
    return _joined(AllOf, {*parts, *kept}, ANYONE)


def any_of(items: Iterable[Requirement]) -> Requirement:
    """The canonical requirement that is met when one of ``items`` is; ``NOBODY`` for none."""
    levels, compound = _gather(items, AnyOf)
    if ANYONE in compound or ALL_LEVELS in levels.values():
        return ANYONE
    # (a and b) adds nobody where a alone will do
    kept = {item for item in compound if not any(_within(part, levels) for part in _parts(item))}
    parts = [SkillIn(skill, low, high) for skill, mask in levels.items() for low, high in _ranges(mask)]
    return _joined(AnyOf, {*parts, *kept}, NOBODY)


def _joined(kind: type[AllOf] | type[AnyOf], items: set[Requirement], none: Requirement) -> Requirement:
    if len(items) < 2:
        return next(iter(items), none)
    return kind(tuple(sorted(items, key=_order)))


def _order(item: Requirement) -> tuple[bool, tuple[str, int], str]:
    """Plain ranges first, by skill and level; then what is compound."""
    if isinstance(item, SkillIn):
        return False, (item.skill, item.low), ""
    return True, ("", 0), item.text


def _gather(
    items: Iterable[Requirement], kind: type[AllOf] | type[AnyOf]
) -> tuple[dict[str, int], dict[Requirement, None]]:
    """Levels a skill, as all items of one skill alone say together; and the other items."""
    levels: dict[str, int] = {}
    compound: dict[Requirement, None] = {}
    neutral = ANYONE if kind is AllOf else NOBODY
    for item in items:
        for part in item.items if isinstance(item, kind) else (item,):
            mask = _levels_of(part)
            if mask is not None:
                (skill,) = part.skills
                known = levels.get(skill)
                levels[skill] = mask if known is None else known & mask if kind is AllOf else known | mask
            elif part != neutral:
                compound[part] = None
    return levels, compound


def _levels_of(item: Requirement) -> int | None:
    """The set of levels, of an item that speaks of one skill alone."""
    if isinstance(item, SkillIn):
        return levels_between(item.low, item.high)
    if isinstance(item, AnyOf) and len(item.skills) == 1:
        mask = 0
        for part in item.items:
            assert isinstance(part, SkillIn), "one skill alone is a list of ranges"
            mask |= levels_between(part.low, part.high)
        return mask
    return None


def _branches(item: Requirement) -> Iterator[tuple[str, int]]:
    """What an AnyOf offers of one skill alone, all its ranges together."""
    together: dict[str, int] = {}
    for part in item.items if isinstance(item, AnyOf) else ():
        if isinstance(part, SkillIn):
            together[part.skill] = together.get(part.skill, 0) | levels_between(part.low, part.high)
    yield from together.items()


def _parts(item: Requirement) -> Iterator[tuple[str, int]]:
    """What an AllOf demands of one skill alone."""
    for part in item.items if isinstance(item, AllOf) else ():
        mask = _levels_of(part)
        if mask is not None:
            (skill,) = part.skills
            yield skill, mask


def _implies(levels: Mapping[str, int], branch: tuple[str, int]) -> bool:
    skill, mask = branch
    return skill in levels and not levels[skill] & ~mask


def _within(part: tuple[str, int], levels: Mapping[str, int]) -> bool:
    skill, mask = part
    return not mask & ~levels.get(skill, 0)


def _ranges(levels: int) -> Iterator[tuple[int, int]]:
    """The runs of a set of levels, as (low, high)."""
    low = ABSENT
    while levels:
        zeros = (levels & -levels).bit_length() - 1
        levels >>= zeros
        ones = (~levels & (levels + 1)).bit_length() - 1
        low += zeros
        yield low, low + ones - 1
        levels >>= ones
        low += ones
