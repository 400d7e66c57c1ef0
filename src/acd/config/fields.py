"""Reading one map of floor.yaml key by key: texts, numbers, durations, choices, names, phones.

Every reader gives a usable value back, also after it noted an error, so that reading goes on and all errors are found
at once. Which keys there are, and what they mean together, is ``floor``'s matter.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from collections.abc import Mapping as Mapping_
from collections.abc import Sequence as Sequence_

from acd.config.problems import Problems, nearest, show
from acd.config.yaml_lines import Mapping, Node, Scalar, Sequence
from acd.domain.devices import DEVICE, TECHNOLOGIES

NAME_RULE = "lower-case letters, digits, - and _, a letter or digit first, at most 40 characters"
MAX_LIST_ITEMS = 1_000
MAX_TEXT_CHARS = 80

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,6})?", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", re.ASCII)
_DURATION = re.compile(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)s)?", re.ASCII)
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_MUSIC_CLASS = re.compile(r"[A-Za-z0-9_.-]{1,79}", re.ASCII)


def is_name(text: str) -> bool:
    """Whether ``text`` may name a queue, agent, skill or pause reason: such names ride in channel variables."""
    return _NAME.fullmatch(text) is not None


def described(node: Node) -> str:
    """What stands at ``node``, for an error message."""
    if isinstance(node, Scalar):
        return "nothing" if node.is_null else show(node.text)
    return "a list" if isinstance(node, Sequence) else "a map"


def seconds_of(text: str) -> float | None:
    """``20``, ``20s``, ``2m``, ``1m30s``, ``1h`` in seconds; ``None`` if it is no duration."""
    if _SECONDS.fullmatch(text):
        return float(text)
    match = _DURATION.fullmatch(text) if text else None
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours or 0) * 3600.0 + int(minutes or 0) * 60.0 + float(seconds or 0)


class Section:
    """One map, with a ``label`` for messages such as ``queue 'sales'``. Unknown keys are noted when it is made.

    ``at`` is the key above it, where messages about the whole point to.
    """

    def __init__(
        self,
        problems: Problems,
        node: Node,
        label: str,
        keys: Collection[str],
        *,
        at: Scalar | None = None,
        private_prefix: str | None = None,
        former_keys: Mapping_[str, str] | None = None,
    ) -> None:
        place = at or node
        self.problems, self.label, self.line, self.column = problems, label, place.line, place.column
        self._entries: dict[str, tuple[Scalar, Node]] = {}
        self._readable = True
        if isinstance(node, Mapping):
            self._entries = node.entries
        elif not (isinstance(node, Scalar) and node.is_null):
            self._readable = False
            self.wrong(node, f"{label} must be a map of keys and values, not {described(node)}")
        for old, new in (former_keys or {}).items():
            self._rename(old, new)
        for name, (key, _) in self._entries.items():
            if name not in keys and not (private_prefix and name.startswith(private_prefix)):
                self.wrong(key, f"unknown key {show(name)} in {label}{self.hint(name, keys)}")

    def _rename(self, old: str, new: str) -> None:
        """Read a key under the name it has now, and say so."""
        entry = self._entries.get(old)
        if entry is None or new in self._entries:
            return
        self._entries = {new if key == old else key: value for key, value in self._entries.items()}
        key = entry[0]
        self.problems.warning(key.line, key.column, f"{old} is now called {new}")

    def wrong(self, node: Node, message: str) -> None:
        self.problems.error(node.line, node.column, message)

    def hint(self, word: str, right: Collection[str]) -> str:
        """Nearest right name, unless so much is wrong that nobody would read it."""
        return "" if self.problems.full else nearest(word, right)

    def get(self, key: str) -> Node | None:
        """The node at ``key``; ``None`` if absent or empty."""
        entry = self._entries.get(key)
        if entry is None or (isinstance(entry[1], Scalar) and entry[1].is_null):
            return None
        return entry[1]

    def is_map(self, key: str) -> bool:
        return isinstance(self.get(key), Mapping)

    def key(self, key: str) -> Scalar | None:
        """The key itself, for its place in the file."""
        entry = self._entries.get(key)
        return entry[0] if entry else None

    def require(self, key: str, what: str) -> Node | None:
        """The node at ``key``, which must be there; ``what`` says what to write."""
        node = self.get(key)
        if node is None and self._readable:
            entry = self._entries.get(key)
            place: Node | Section = entry[0] if entry else self
            self.problems.error(place.line, place.column, f"{self.label} needs {key}: {what}")
        return node

    def text_of(self, node: Node, what: str) -> str | None:
        """The text at ``node``, or ``None`` after noting that it is not one."""
        if isinstance(node, Scalar) and not node.is_null:
            return node.text
        self.wrong(node, f"{what} of {self.label} must be a text, not {described(node)}")
        return None

    def text(self, key: str) -> str:
        """A line of text for people to read; empty if absent."""
        node = self.get(key)
        text = self.text_of(node, key) if node is not None else None
        if node is None or text is None:
            return ""
        if len(text) > MAX_TEXT_CHARS or not text.isprintable():
            self.wrong(node, f"{key} of {self.label} must be one line of at most {MAX_TEXT_CHARS} characters")
        return text

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        node = self.get(key)
        return default if node is None else self.whole_of(node, key, default, least, most)

    def whole_of(self, node: Node, what: str, default: int, least: int, most: int) -> int:
        if isinstance(node, Scalar) and _WHOLE.fullmatch(node.text) and least <= int(node.text) <= most:
            return int(node.text)
        self.wrong(node, f"{what} of {self.label} must be a whole number from {least} to {most}, not {described(node)}")
        return default

    def number(self, key: str, least: float, most: float) -> float | None:
        """A number that need not be whole; ``None`` if absent or wrong."""
        node = self.get(key)
        if node is None:
            return None
        if isinstance(node, Scalar) and _NUMBER.fullmatch(node.text) and least <= float(node.text) <= most:
            return float(node.text)
        self.wrong(node, f"{key} of {self.label} must be a number from {least:g} to {most:g}, not {described(node)}")
        return None

    def choice(self, key: str, right: Sequence_[str], default: str) -> str:
        """One of a few words."""
        node = self.get(key)
        text = self.text_of(node, key) if node is not None else None
        if node is None or text is None or text in right:
            return text or default
        self.wrong(node, f"{key} of {self.label}: there is no {show(text)}{self.hint(text, right)}")
        return default

    def flag(self, key: str, default: bool) -> bool:
        node = self.get(key)
        if node is None:
            return default
        value = _FLAGS.get(node.text.lower()) if isinstance(node, Scalar) else None
        if value is None:
            self.wrong(node, f"{key} of {self.label} must be true or false, not {described(node)}")
            return default
        return value

    def duration(self, key: str, default: float, least: float, most: float) -> float:
        """Seconds."""
        value = self.optional_duration(key, least, most)
        return default if value is None else value

    def optional_duration(self, key: str, least: float, most: float) -> float | None:
        """Seconds, or ``None`` if absent."""
        node = self.get(key)
        return None if node is None else self.duration_of(node, key, least, most)

    def duration_of(self, node: Node, what: str, least: float, most: float) -> float | None:
        """Seconds, or ``None`` after noting what is wrong."""
        value = seconds_of(node.text) if isinstance(node, Scalar) else None
        if value is None:
            self.wrong(
                node, f"{what} of {self.label} must be a duration such as 20s, 2m or 1m30s, not {described(node)}"
            )
        elif not least <= value <= most:
            self.wrong(
                node,
                f"{what} of {self.label} must be from {least:.15g} to {most:.15g} seconds, not {described(node)}",
            )
        else:
            return value
        return None

    def entries_of(self, key: str) -> Iterator[tuple[Scalar, Node]]:
        """Keys and values of the map at ``key``; nothing if absent."""
        node = self.get(key)
        if isinstance(node, Mapping):
            yield from node.entries.values()
        elif node is not None:
            self.wrong(node, f"{key} of {self.label} must be a map of names and values, not {described(node)}")

    def items_of(self, key: str) -> list[Scalar]:
        """The texts of the list at ``key``; a single text counts as a list of one. Each may stand there once."""
        node = self.get(key)
        if node is None:
            return []
        if isinstance(node, Mapping):
            self.wrong(node, f"{key} of {self.label} must be a list, not a map")
            return []
        items = node.items if isinstance(node, Sequence) else [node]
        if len(items) > MAX_LIST_ITEMS:
            self.wrong(node, f"{key} of {self.label} has more than {MAX_LIST_ITEMS} items")
            return []
        texts: dict[str, Scalar] = {}
        for item in items:
            if not isinstance(item, Scalar) or item.is_null:
                self.wrong(item, f"{key} of {self.label} must hold texts, not {described(item)}")
            elif item.text in texts:
                self.wrong(item, f"{show(item.text)} stands twice in {key} of {self.label}")
            else:
                texts[item.text] = item
        return list(texts.values())

    def name_ok(self, node: Scalar, what: str) -> bool:
        """Whether the text at ``node`` may name a ``what``; notes it if not."""
        if is_name(node.text):
            return True
        lowered = node.text.lower()
        hint = f" (nearest right name: {lowered})" if lowered != node.text and is_name(lowered) else ""
        self.wrong(node, f"{what} name {show(node.text)} must be of {NAME_RULE}{hint}")
        return False

    def client(self) -> str | None:
        """For whom calls are handled; ``None`` if nothing is said or it is no name."""
        node = self.get("client")
        text = self.text_of(node, "client") if node is not None else None
        return text if isinstance(node, Scalar) and text is not None and self.name_ok(node, "client") else None

    def known(self, node: Scalar, what: str, right: Collection[str], where: str) -> bool:
        """Whether the text at ``node`` is one of ``right``; notes it if not. ``where`` = the key that defines them."""
        if node.text in right:
            return True
        self.wrong(node, f"{what} {show(node.text)} is not defined under {where}{self.hint(node.text, right)}")
        return False

    def hold(self, key: str, default: str | None) -> str | None:
        """A music class from ``music:CLASS``, or ``None`` for ``ringback``."""
        node = self.get(key)
        if node is None:
            return default
        text = self.text_of(node, key)
        kind, colon, music_class = (text or "").partition(":")
        if text == "ringback":
            return None
        if colon and kind == "music" and _MUSIC_CLASS.fullmatch(music_class):
            return music_class
        if text is not None:
            self.wrong(node, f"{key} of {self.label} must be music:CLASS or ringback, not {show(text)}")
        return default

    def music_or_flag(self, key: str) -> str | bool:
        """A music class from ``music:CLASS``, or whether there is to be something at all (not, where nothing is said)."""
        node = self.get(key)
        if node is None:
            return False
        text = node.text if isinstance(node, Scalar) else ""
        kind, _, music_class = text.partition(":")
        if kind == "music" and _MUSIC_CLASS.fullmatch(music_class):
            return music_class
        value = _FLAGS.get(text.lower())
        if value is None:
            self.wrong(node, f"{key} of {self.label} must be true, false or music:CLASS, not {described(node)}")
        return bool(value)

    def phone_ok(self, node: Scalar) -> bool:
        """Whether the text is an Asterisk device that can be dialled as it stands; notes it if not.

        Strict, because it is written into Dial(): no ``&``, ``|``, comma, ``$``, braces or parentheses.
        """
        match = DEVICE.fullmatch(node.text)
        if match is None:
            self.wrong(
                node,
                f"phone {show(node.text)} of {self.label} is no device: write TECHNOLOGY/NAME such as PJSIP/1001, "
                "NAME of letters, digits and _ . @ + -",
            )
            return False
        technology, name = match.groups()
        right = next((t for t in TECHNOLOGIES if t.lower() == technology.lower()), technology)
        if right != technology:
            self.wrong(node, f"phone {show(node.text)} of {self.label} is unknown (nearest right name: {right}/{name})")
            return False
        if technology == "Local":
            self.problems.warning(
                node.line,
                node.column,
                f"phone {show(node.text)} of {self.label}: Asterisk reports no state for Local channels, so a busy "
                "phone is offered calls; name the device itself",
            )
        return True
