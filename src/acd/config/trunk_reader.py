"""Trunks and caller IDs of floor.yaml: the ways out, and the numbers that calls may be shown to come from."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from types import MappingProxyType

from acd.config.context import Context
from acd.config.fields import Section, described
from acd.config.problems import show
from acd.config.yaml_lines import Mapping, Node, Scalar, Sequence
from acd.domain.campaigns import NUMBER_PLACE, CallerIds, Trunk
from acd.domain.definition import FloorDefinition
from acd.domain.devices import DEVICE, TECHNOLOGIES

TRUNK_KEYS = ("calls_per_s", "dial", "lines", "node", "plus")
CALLER_ID_KEYS = ("local", "numbers", "verified")
MAX_LINES = 10_000

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_ANY_NUMBER = "4930555100"


def read_trunk(context: Context, key: Scalar, node: Node) -> Trunk:
    """One trunk. ``key``: its name."""
    section = Section(context.problems, node, f"trunk {show(key.text)}", TRUNK_KEYS, at=key)
    name = section.get("node")
    named = section.text_of(name, "node") if name is not None else None
    if isinstance(name, Scalar) and named is not None and not section.name_ok(name, "node"):
        named = None
    usual = Trunk(key.text, "")
    rate = section.number("calls_per_s", 0.01, 1_000)
    return Trunk(
        key.text,
        dial=_dial(section),
        node=named,
        calls_per_s=usual.calls_per_s if rate is None else rate,
        lines=section.whole("lines", usual.lines, 1, MAX_LINES),
        plus=section.flag("plus", usual.plus),
    )


def _dial(section: Section) -> str:
    node = section.require("dial", f"the device, such as PJSIP/{NUMBER_PLACE}@carrier")
    text = section.text_of(node, "dial") if node is not None else None
    if node is None or text is None:
        return NUMBER_PLACE
    if text.count(NUMBER_PLACE) != 1:
        section.wrong(
            node,
            f"dial of {section.label} must hold {NUMBER_PLACE} once, where the number goes, such as "
            f'"PJSIP/{NUMBER_PLACE}@carrier" (in quotes), not {show(text)}',
        )
        return NUMBER_PLACE
    match = DEVICE.fullmatch(text.replace(NUMBER_PLACE, _ANY_NUMBER))
    if match is None:
        section.wrong(
            node,
            f"dial of {section.label}: {show(text)} is no device: write TECHNOLOGY/NAME such as "
            f"PJSIP/{NUMBER_PLACE}@carrier, NAME of letters, digits and _ . @ + -",
        )
        return text
    technology = match[1]
    if technology.lower() == "local":
        section.wrong(
            node,
            f"dial of {section.label}: {show(text)} leads into the dialplan, behind which nothing is heard of the line; "
            f"write the trunk's own device, such as PJSIP/{NUMBER_PLACE}@carrier",
        )
        return text
    right = next((known for known in TECHNOLOGIES if known.lower() == technology.lower()), technology)
    if right != technology:
        section.wrong(
            node,
            f"dial of {section.label}: {show(text)} is unknown (nearest right name: {text.replace(technology, right, 1)})",
        )
    return text


def read_caller_ids(context: Context, key: Scalar, node: Node) -> CallerIds:
    """One set. ``key``: its name. Every number needs the date of its verification, its own or the set's."""
    section = Section(context.problems, node, f"caller IDs {show(key.text)}", CALLER_ID_KEYS, at=key)
    of_all = _date(section, section.get("verified"), "verified")
    numbers = section.require("numbers", "the numbers that calls may be shown to come from, such as [+4930555100]")
    found: dict[str, str] = {}
    entries: list[tuple[Scalar, Node | None]] = []
    if isinstance(numbers, Mapping):
        entries = [(number, date_) for number, date_ in section.entries_of("numbers")]
    elif numbers is not None:
        entries = [(number, None) for number in section.items_of("numbers")]
        if isinstance(numbers, Sequence) and not numbers.items:
            section.wrong(numbers, f"numbers of {section.label} is empty: calls need a number to come from")
    for number, when in entries:
        if not _E164.fullmatch(number.text):
            section.wrong(
                number,
                f"{show(number.text)} of {section.label} is no E.164 number: write + and the country code, 7 to 15 digits "
                "in all, such as +4930555100",
            )
            continue
        fault = _impossible(number.text)
        if fault:
            section.wrong(number, f"{number.text} of {section.label} can be nobody's number: {fault}")
            continue
        own = None if when is None or (isinstance(when, Scalar) and when.is_null) else when
        verified = _date(section, own, f"verification of {number.text}") if own is not None else of_all
        if verified is None and own is None and section.get("verified") is None:
            section.wrong(
                number,
                f"{number.text} of {section.label} is not verified: show only numbers that are yours and answered; write "
                "the date on which that was made sure of, verified: 2026-03-01",
            )
        found[number.text] = verified or ""
    return CallerIds(key.text, tuple(found), section.flag("local", True), MappingProxyType(found))


def _impossible(number: str) -> str:
    """Why no number can be so long, or so short; empty if one can."""
    # Only where there are caller IDs: numbering plans take a while to load
    from acd.domain.dialable import Fault, Undialable, impossible

    fault = impossible(number)
    if fault is None:
        return ""
    return "no country has its code" if fault is Fault.UNKNOWN_COUNTRY else str(Undialable(fault))


def _date(section: Section, node: Node | None, what: str) -> str | None:
    if node is None:
        return None
    if isinstance(node, Scalar):
        with suppress(ValueError):
            if len(node.text) == 10:
                return date.fromisoformat(node.text).isoformat()
    section.wrong(node, f"{what} of {section.label} must be a date such as 2026-03-01, not {described(node)}")
    return None


def not_verified_yet(floor: FloorDefinition, now_s: float) -> list[str]:
    """What is wrong with caller IDs whose verification is dated later than ``now_s``: a sentence each."""
    return [
        f"caller ID {number} of {show(name)} is verified on {of.verified[number]}, a day that has not come: it is not shown "
        "before; write the day on which somebody made sure of it"
        for name, of in floor.caller_ids.items()
        for number in of.numbers
        if of.usable_s(number) > now_s
    ]
