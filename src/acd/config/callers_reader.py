"""Who calls what: the entry points of floor.yaml (numbers dialled) and the callers the operator knows.

A range of numbers becomes one entry point a number, so that looking one up stays a look into a map.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType

from acd.config.context import PRIORITY_LIMIT, Context
from acd.config.fields import Section
from acd.config.problems import show
from acd.config.yaml_lines import Mapping, Node, Scalar
from acd.domain.definition import EntryPoint, KnownCaller, number_key

ENTRY_KEYS = ("queue", "priority", "attributes", "client")
CALLER_KEYS = ("priority", "owner", "attributes")
MAX_RANGE = 10_000
MAX_ENTRY_POINTS = 100_000

_DID = re.compile(r"\+?[0-9A-Za-z][0-9A-Za-z*#._-]{0,39}", re.ASCII)
_DIDS = re.compile(r"(\+?[0-9]{1,20})\.\.(\+?[0-9]{1,20})", re.ASCII)
_CALLER = re.compile(r"\+?[0-9A-Za-z][0-9A-Za-z*#. ()/_-]{0,39}", re.ASCII)


class CallersReader:
    """Reads both maps; notes numbers that stand in two places."""

    def __init__(self, context: Context, top: Section) -> None:
        self._context, self._top = context, top

    # -- entry points --------------------------------------------------------------------------------------------------

    def entry_points(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        numbers = 0
        # number however written -> the entry point, and the key it came from
        seen: dict[str, tuple[EntryPoint, Scalar]] = {}
        for key, node in self._top.entries_of("entry_points"):
            entry = self._entry(key, node)
            said: set[str] = set()
            for did in self._numbers(key):
                numbers += 1
                if numbers > MAX_ENTRY_POINTS:
                    self._top.wrong(key, f"more than {MAX_ENTRY_POINTS} entry points in all, counting those of ranges")
                    return found
                if entry is None:
                    break
                point = replace(entry, did=did)
                other, where = seen.setdefault(number_key(did), (point, key))
                if where is not key and (did in found or not _same(other, point)):
                    # a range may overlap another in thousands of numbers
                    if where.text not in said:
                        self._overlap(key, did, other, where)
                    said.add(where.text)
                found.setdefault(did, point)
        return found

    def _overlap(self, key: Scalar, did: str, other: EntryPoint, where: Scalar) -> None:
        both = "" if did == other.did else f" ({other.did} is {did} written in another way)"
        shown = show(key.text) if key.text == did else f"{did} of {show(key.text)}"
        self._top.wrong(
            key, f"entry points overlap: {shown} stands in {show(where.text)} in line {where.line}, too{both}"
        )

    def _entry(self, key: Scalar, node: Node) -> EntryPoint | None:
        # DID: sales is short for DID: {queue: sales}
        long_form = node if isinstance(node, Mapping) else Mapping(node.line, node.column)
        section = Section(self._context.problems, long_form, f"entry point {show(key.text)}", ENTRY_KEYS, at=key)
        queue = section.require("queue", "the queue its calls enter") if node is long_form else node
        if queue is None or section.text_of(queue, "queue") is None or not isinstance(queue, Scalar):
            return None
        section.known(queue, "queue", self._context.queues, "queues")
        priority = section.whole("priority", 0, -PRIORITY_LIMIT, PRIORITY_LIMIT)
        attributes = self._context.attributes(section, "attributes")
        return EntryPoint(key.text, queue.text, priority, MappingProxyType(attributes), section.client())

    def _numbers(self, key: Scalar) -> Iterator[str]:
        """The number at ``key``, or every one of a range."""
        match = _DIDS.fullmatch(key.text)
        if match is None:
            if _DID.fullmatch(key.text) and ".." not in key.text:
                yield key.text
                return
            self._top.wrong(
                key,
                f"{show(key.text)} cannot be a DID: an optional +, then letters, digits and * # . _ -, "
                "at most 40 characters",
            )
            return
        first, last = match.groups()
        plus = "+" if first.startswith("+") else ""
        start, end = first.removeprefix("+"), last.removeprefix("+")
        if len(first) != len(last) or first[:1].isdigit() != last[:1].isdigit() or int(end) < int(start):
            self._top.wrong(
                key, f"{show(key.text)} is no range of numbers: both alike in length, the second not before the first"
            )
        elif int(end) - int(start) >= MAX_RANGE:
            self._top.wrong(key, f"{show(key.text)} has more than {MAX_RANGE} numbers")
        else:
            yield from (f"{plus}{number:0{len(start)}}" for number in range(int(start), int(end) + 1))

    # -- known callers -------------------------------------------------------------------------------------------------

    def callers(self) -> dict[str, KnownCaller]:
        """By ``number_key``."""
        found: dict[str, KnownCaller] = {}
        lines: dict[str, tuple[str, int]] = {}
        for key, node in self._top.entries_of("callers"):
            label = f"caller {show(key.text)}"
            section = Section(self._context.problems, node, label, CALLER_KEYS, at=key)
            owner = section.get("owner")
            known_owner = (
                isinstance(owner, Scalar) and section.known(owner, "agent", self._context.agents, "agents")
                if owner is not None and section.text_of(owner, "owner") is not None
                else False
            )
            caller = KnownCaller(
                priority=section.whole("priority", 0, -PRIORITY_LIMIT, PRIORITY_LIMIT),
                owner=owner.text if known_owner and isinstance(owner, Scalar) else None,
                attributes=MappingProxyType(self._context.attributes(section, "attributes")),
            )
            if not _CALLER.fullmatch(key.text):
                self._top.wrong(key, f"{show(key.text)} cannot be a caller's number, at most 40 digits or letters")
                continue
            number = number_key(key.text)
            other, line = lines.setdefault(number, (key.text, key.line))
            if number in found:
                self._top.wrong(key, f"{label} is the same number as {show(other)} in line {line}")
            found[number] = caller
        return found


def _same(one: EntryPoint, two: EntryPoint) -> bool:
    """Whether two entry points do the same with a call: a number that two trunks deliver in two forms is no mistake."""
    return replace(one, did=two.did) == two
