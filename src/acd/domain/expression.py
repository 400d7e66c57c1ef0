"""What a queue's stage asks for, as the operator writes it: checked once, then bound to a call's attributes.

    billing >= 60 and (skill(call.language) >= 80 or call.tier in (gold, 'very important'))

``parse`` gives a checked, immutable tree; ``Expression.bind`` puts the attributes of one call in and gives the
``Requirement`` that is left of agents. The grammar, loosest first: ``or``, ``and``, ``not``, comparison; parentheses.

    comparison   operand (>= > <= < == !=) operand  |  operand [not] in (value, value, ...)  |  SKILL  |  anyone  |  nobody
    operand      SKILL  |  skill(call.NAME)  |  call.NAME  |  number  |  'text'  |  "text"

``SKILL`` alone means ``SKILL >= 1``; an agent without a skill stands at -1, so ``billing < 50`` is true of him. Right of
``call.NAME`` a bare word is a text. An attribute the call does not have makes any comparison with it false, whichever;
so does ``skill(call.NAME)`` when the attribute names no skill. How values compare: ``attributes.holds``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Final

from acd.domain.attributes import Value, holds, number_in
from acd.domain.expression_parser import RESERVED, ExpressionError, tree_of
from acd.domain.expression_tree import (
    Always,
    Attribute,
    Both,
    Compare,
    Either,
    Literal,
    Node,
    Not,
    Skill,
    SkillNamedBy,
    Within,
    operands_of,
)
from acd.domain.requirement import (
    ABSENT,
    ALL_LEVELS,
    ANYONE,
    NOBODY,
    AllOf,
    AnyOf,
    Anyone,
    Nobody,
    Requirement,
    SkillIn,
    all_of,
    any_of,
    at_least,
    levels_where,
    skill_levels,
)
from acd.domain.values import valueclass

__all__ = (
    "ANYONE",
    "NOBODY",
    "RESERVED",
    "AllOf",
    "AnyOf",
    "Anyone",
    "Expression",
    "ExpressionError",
    "Nobody",
    "Requirement",
    "SkillIn",
    "Value",
    "all_of",
    "any_of",
    "at_least",
    "at_least_all",
    "parse",
)

_BOUND_MAX: Final = 1_000
"""Bindings remembered an expression."""


@valueclass(frozen=True, slots=True)
class Expression:
    """A checked expression. Two are equal when their trees are; ``text`` prints the tree and parses to an equal one."""

    tree: Node
    text: str = field(compare=False)
    attributes: Mapping[str, bool] = field(compare=False)
    """The attributes it looks at; true for those that name a skill."""
    skills: frozenset[str] = field(compare=False)
    """The skills it names itself."""
    _bound: dict[tuple[object, ...], Requirement] = field(default_factory=dict, compare=False, repr=False)

    def __str__(self) -> str:
        return self.text

    def bind(self, attributes: Mapping[str, Value], skills: Collection[str]) -> Requirement:
        """What is asked of agents for a call of these ``attributes``, on a floor that knows ``skills``.

        Remembered by the attributes that count here, so that calls alike share one Requirement object.
        """
        key: tuple[object, ...] = ()
        for name, names_skill in self.attributes.items():
            value = attributes.get(name)
            # 1, 1.0 and True are one key of a dict, but do not mean the same
            key += (value, value.__class__, names_skill and value in skills)
        known = self._bound.get(key)
        if known is None:
            known = _Binder(attributes, skills).requirement(self.tree)
            if len(self._bound) >= _BOUND_MAX:
                self._bound.clear()
            self._bound[key] = known
        return known

    def could_admit(self, levels: Mapping[str, int]) -> bool:
        """Whether some call's attributes might let an agent of these proficiencies in (never a false no)."""
        return _could(self.tree, levels, True)


def parse(text: str, skills: Collection[str]) -> Expression:
    """The expression that ``text`` says. Raises ExpressionError: what is wrong, and at which character.

    At most 2,000 characters, 200 terms, 32 levels of parentheses and ``not``; ``skills`` are those that are defined.
    """
    return expression_of(tree_of(text, skills))


def expression_of(tree: Node) -> Expression:
    """The expression of a tree that is right already."""
    attributes: dict[str, bool] = {}
    skills: set[str] = set()
    for operand in operands_of(tree):
        if isinstance(operand, Skill):
            skills.add(operand.name)
        elif isinstance(operand, Attribute):
            attributes.setdefault(operand.name, False)
        elif isinstance(operand, SkillNamedBy):
            attributes[operand.attribute] = True
    return Expression(tree, str(tree), MappingProxyType(dict(sorted(attributes.items()))), frozenset(skills))


def at_least_all(minimums: Mapping[str, int]) -> Expression:
    """Every skill at its minimum or better: what a queue's ``skills`` mean. Anyone for none."""
    terms: list[Node] = [Compare(Skill(skill), ">=", Literal(minimum)) for skill, minimum in minimums.items()]
    if len(terms) < 2:
        return expression_of(terms[0] if terms else Always(True))
    return expression_of(Both(tuple(terms)))


class _Binder:
    """One binding. Recursion is as deep as the tree, which ``parse`` bounds."""

    def __init__(self, attributes: Mapping[str, Value], skills: Collection[str]) -> None:
        self._attributes, self._skills = attributes, skills

    def requirement(self, node: Node, negated: bool = False) -> Requirement:
        """``negated``: of the contrary of ``node``; so ``not`` is pushed down into the ranges."""
        if isinstance(node, Both | Either):
            join = all_of if isinstance(node, Both) is not negated else any_of
            return join([self.requirement(item, negated) for item in node.items])
        if isinstance(node, Not):
            return self.requirement(node.item, not negated)
        if isinstance(node, Always):
            return _constant(node.holds is not negated)
        skill, found = self._skill(node.left)
        if isinstance(node.left, Attribute):
            return _constant(self._fact(node.left, node) is not negated)
        if not found:
            return _constant(negated)
        levels = self._levels(node)
        return skill_levels(skill, ALL_LEVELS & ~levels if negated else levels)

    def _skill(self, operand: Skill | SkillNamedBy | Attribute) -> tuple[str, bool]:
        if isinstance(operand, Skill):
            return operand.name, True
        if isinstance(operand, SkillNamedBy):
            name = self._attributes.get(operand.attribute)
            if isinstance(name, str) and name in self._skills:
                return name, True
        return "", False

    def _fact(self, left: Attribute, node: Compare | Within) -> bool:
        """Whether a comparison of attributes holds for this call."""
        value = self._attributes.get(left.name)
        if value is None:
            return False
        if isinstance(node, Within):
            return any(holds(value, "==", item.value) for item in node.values) is not node.negated
        right = node.right.value if isinstance(node.right, Literal) else self._attributes.get(node.right.name)
        return right is not None and holds(value, node.operator, right)

    def _levels(self, node: Compare | Within) -> int:
        """The levels for which a comparison of a skill holds."""
        if isinstance(node, Within):
            levels = 0
            for item in node.values:
                levels |= levels_where("==", number_in(item.value))
            return ALL_LEVELS & ~levels if node.negated else levels
        right = node.right.value if isinstance(node.right, Literal) else self._attributes.get(node.right.name)
        return levels_where(node.operator, None if right is None else number_in(right))


def _constant(holds_: bool) -> Requirement:
    return ANYONE if holds_ else NOBODY


def _could(node: Node, levels: Mapping[str, int], wanted: bool) -> bool:
    """Whether ``node`` might come out as ``wanted`` for this agent, each attribute free to be anything anywhere."""
    if isinstance(node, Both | Either):
        every = isinstance(node, Both) is wanted
        return (all if every else any)(_could(item, levels, wanted) for item in node.items)
    if isinstance(node, Not):
        return _could(node.item, levels, not wanted)
    if isinstance(node, Always):
        return node.holds is wanted
    if isinstance(node.left, Attribute):
        return True
    if isinstance(node, Compare) and isinstance(node.right, Attribute):
        # some number makes it true of any level, and without the attribute it is false
        return True
    mask = _Binder({}, ())._levels(node)
    if isinstance(node.left, Skill):
        return bool(mask >> (levels.get(node.left.name, ABSENT) - ABSENT) & 1) is wanted
    return not wanted or any(mask >> (level - ABSENT) & 1 for level in (*levels.values(), ABSENT))
