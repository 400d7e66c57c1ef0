"""What every reader of a part of floor.yaml needs of the whole: the problems, the names defined, the source text."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from acd.config.fields import Section, described
from acd.config.places import Places
from acd.config.problems import Problems, show
from acd.config.yaml_lines import Node, Scalar, place_within
from acd.domain.attributes import MAX_ATTRIBUTES, Value, fault_of, number_of
from acd.domain.expression import Expression, ExpressionError, parse
from acd.domain.values import valueclass

PRIORITY_LIMIT = 1_000
DAY_S = 86_400.0

_FLAGS = {"true": True, "false": False}


@valueclass(frozen=True, slots=True)
class Context:
    """Names are complete before any part is read, because parts refer to each other. ``lines``: of the source."""

    problems: Problems
    lines: Sequence[str]
    skills: Collection[str]
    queues: Collection[str]
    agents: Collection[str]
    hours: Collection[str]
    places: Places

    def expression(self, section: Section, node: Node, what: str) -> Expression | None:
        """The expression at ``node``; ``None`` after noting what is wrong, at the very character."""
        text = section.text_of(node, what)
        if text is None or not isinstance(node, Scalar):
            return None
        try:
            return parse(text, self.skills)
        except ExpressionError as error:
            line, column = place_within(self.lines, node, error.position)
            message = f"{what} of {section.label}: {error.message}"
            self.problems.error(line, column, message, error.excerpt)
        return None

    def attributes(self, section: Section, key: str) -> dict[str, Value]:
        """``{name: value}`` at ``key``. Plain numbers, true and false are such; what stands in quotes is a text."""
        found: dict[str, Value] = {}
        for name, node in section.entries_of(key):
            if not isinstance(node, Scalar) or node.is_null:
                section.wrong(
                    node,
                    f"attribute {show(name.text)} of {section.label} must be a text, a number, true or "
                    f"false, not {described(node)}",
                )
                continue
            value = value_of(node)
            fault = fault_of(name.text, value)
            if fault:
                section.wrong(name, f"attribute {show(name.text)} of {section.label} {fault}")
            elif len(found) == MAX_ATTRIBUTES:
                section.wrong(name, f"{section.label} has more than {MAX_ATTRIBUTES} attributes")
                break
            else:
                found[name.text] = value
        return found


def value_of(node: Scalar) -> Value:
    """What a scalar stands for as an attribute. A number written with leading zeros is no amount, so it stays a text."""
    text = node.text
    if not node.plain:
        return text
    if text in _FLAGS:
        return _FLAGS[text]
    number = number_of(text)
    bare = text.removeprefix("-")
    return text if number is None or (bare.startswith("0") and bare[1:2].isdigit()) else number
