"""Where callers go who leave a queue: the destinations of floor.yaml.

``voicemail`` and ``callback`` are places in the operator's dialplan, named once for the whole floor; a number is looked up
in its context acd-transfer.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress

from acd.config.fields import Section
from acd.config.problems import show
from acd.config.yaml_lines import Node
from acd.domain.definition import Destination, HangUp, ToCallback, ToDialplan, ToMessage, ToQueue, ToVoicemail
from acd.domain.dialplan import is_number, place_of

KINDS = (
    "queue:NAME",
    "number:NUMBER",
    "dialplan:CONTEXT,EXTEN[,PRIORITY]",
    "voicemail[:BOX]",
    "callback",
    "message:SOUND",
    "hangup",
)

_EXTEN = re.compile(r"[A-Za-z0-9+*#_.-]{1,79}", re.ASCII)
SOUND = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_./-]{0,119}", re.ASCII)


class Places:
    """Reads destinations. ``top`` is the floor, which may name places for ``voicemail`` and ``callback``."""

    def __init__(self, top: Section, queues: Collection[str]) -> None:
        self._queues = queues
        self._named = {key: self._place(top, key) for key in ("voicemail", "callback")}

    def destination(self, section: Section, key: str) -> Destination | None:
        """The destination at ``key``; ``None`` if absent or wrong."""
        node = section.get(key)
        text = section.text_of(node, key) if node is not None else None
        if node is None or text is None:
            return None
        kind, colon, rest = text.partition(":")
        if text == "hangup":
            return HangUp()
        if kind == "voicemail" or text == "callback":
            return self._at_named(section, node, kind, rest if colon else None)
        if colon and kind == "queue":
            if rest in self._queues:
                return ToQueue(rest)
            section.wrong(node, f"queue {show(rest)} is not defined under queues{section.hint(rest, self._queues)}")
            return None
        if colon and kind == "number":
            if is_number(rest):
                return place_of(rest)
            section.wrong(
                node, f"{show(rest)} is no number to send callers to; write its digits, for example number:0201555"
            )
            return None
        if colon and kind == "dialplan":
            return self._dialplan(section, node, key, rest)
        if colon and kind == "message":
            if SOUND.fullmatch(rest) and ".." not in rest:
                return ToMessage(rest)
            section.wrong(
                node,
                f"{key} of {section.label}: {show(rest)} is no sound; write its name as Playback takes it, without the "
                "ending, for example message:custom/closed",
            )
            return None
        hint = f" (nearest right name: queue:{text})" if text in self._queues else ""
        section.wrong(node, f"{key} of {section.label} must be {_listed()}, not {show(text)}{hint}")
        return None

    def _at_named(self, section: Section, node: Node, kind: str, box: str | None) -> Destination | None:
        """The place for voicemail or callbacks; a box takes the place of its extension."""
        if box is not None and not _EXTEN.fullmatch(box):
            section.wrong(node, f"{show(box)} is no voicemail box; write voicemail:BOX, BOX an extension")
            return None
        place = self._named[kind]
        if place is None:
            section.wrong(node, f"no place for {kind} is named; write {kind}: CONTEXT,EXTEN at the top of the file")
            return None
        if kind == "callback":
            return ToCallback(place.context, place.exten, place.priority)
        if box is None:
            return ToVoicemail(place.context, place.exten, place.priority)
        return ToVoicemail(place.context, box, place.priority, box)

    def _place(self, top: Section, key: str) -> ToDialplan | None:
        node = top.get(key)
        text = top.text_of(node, key) if node is not None else None
        return None if node is None or text is None else self._dialplan(top, node, key, text, "")

    def _dialplan(
        self, section: Section, node: Node, key: str, rest: str, prefix: str = "dialplan:"
    ) -> ToDialplan | None:
        if "," in rest:
            with suppress(ValueError):
                return place_of(rest)
        section.wrong(
            node,
            f"{key} of {section.label}: {show(rest)} is no place in a dialplan; write {prefix}CONTEXT,EXTEN or "
            f"{prefix}CONTEXT,EXTEN,PRIORITY, for example {prefix}from-internal,100",
        )
        return None


def _listed() -> str:
    return f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"
