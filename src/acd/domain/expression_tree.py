"""The tree of a checked expression, and how it is printed. What it means is ``expression``'s matter.

Every node prints to text that parses to an equal node, with no more parentheses than it takes.
"""

from __future__ import annotations

from collections.abc import Iterator

from acd.domain.values import valueclass


@valueclass(frozen=True, slots=True)
class Skill:
    """The agent's proficiency in a skill."""

    name: str

    def __str__(self) -> str:
        return self.name


@valueclass(frozen=True, slots=True)
class SkillNamedBy:
    """The agent's proficiency in the skill that an attribute of the call names."""

    attribute: str

    def __str__(self) -> str:
        return f"skill(call.{self.attribute})"


@valueclass(frozen=True, slots=True)
class Attribute:
    """An attribute of the call."""

    name: str

    def __str__(self) -> str:
        return f"call.{self.name}"


@valueclass(frozen=True, slots=True)
class Literal:
    """A number or a text."""

    value: int | float | str

    def __str__(self) -> str:
        if not isinstance(self.value, str):
            return str(self.value)
        quote = '"' if "'" in self.value else "'"
        return f"{quote}{self.value}{quote}"


@valueclass(frozen=True, slots=True)
class Always:
    """``anyone`` or ``nobody``."""

    holds: bool

    def __str__(self) -> str:
        return "anyone" if self.holds else "nobody"


@valueclass(frozen=True, slots=True)
class Compare:
    """A comparison: of a skill with a number or attribute, or of an attribute with a literal or attribute."""

    left: Skill | SkillNamedBy | Attribute
    operator: str
    right: Attribute | Literal

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


@valueclass(frozen=True, slots=True)
class Within:
    """``left in (values)``; ``negated``: ``left not in (values)``."""

    left: Skill | SkillNamedBy | Attribute
    values: tuple[Literal, ...]
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.left} {'not ' if self.negated else ''}in ({', '.join(map(str, self.values))})"


@valueclass(frozen=True, slots=True)
class Not:
    """The contrary."""

    item: Node

    def __str__(self) -> str:
        return f"not {_inner(self.item)}"


@valueclass(frozen=True, slots=True)
class Both:
    """Every one of two or more; none of them is itself a ``Both``."""

    items: tuple[Node, ...]

    def __str__(self) -> str:
        return " and ".join(_inner(item) for item in self.items)


@valueclass(frozen=True, slots=True)
class Either:
    """One of two or more; none of them is itself an ``Either``."""

    items: tuple[Node, ...]

    def __str__(self) -> str:
        return " or ".join(str(item) for item in self.items)


Node = Always | Compare | Within | Not | Both | Either


def _inner(item: Node) -> str:
    return f"({item})" if isinstance(item, Either | Both) else str(item)


def operands_of(tree: Node) -> Iterator[Skill | SkillNamedBy | Attribute | Literal]:
    """Every operand of every comparison in the tree, in no particular order."""
    stack: list[Node] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, Both | Either):
            stack.extend(node.items)
        elif isinstance(node, Not):
            stack.append(node.item)
        elif isinstance(node, Compare):
            yield from (node.left, node.right)
        elif isinstance(node, Within):
            yield from (node.left, *node.values)
