"""What people and programs may say of a call: which words, how long, how many. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from difflib import get_close_matches

from acd.domain.errors import RefusedError, UnknownNameError
from acd.domain.values import valueclass

DISPOSITION_MAX = 60
TAG_MAX = 40
TAGS_MAX = 30
NOTES_MAX = 10_000


@valueclass(frozen=True, slots=True)
class Annotation:
    """What is to be said of a call. ``None`` leaves a thing as it is, an empty text takes it away; ``append`` puts
    ``notes`` below those there are."""

    disposition: str | None = None
    notes: str | None = None
    append: bool = False
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()


def disposition_fault(text: str) -> str:
    """Why this can be no disposition; empty if it can."""
    return _word_fault(text, DISPOSITION_MAX)


def tag_fault(text: str) -> str:
    """Why this can be no tag; empty if it can."""
    if any(char.isspace() or char == "," for char in text):
        return "has a blank or a comma in it"
    if text.startswith(("+", "-")):
        return "begins with + or -"
    return _word_fault(text, TAG_MAX)


def notes_fault(text: str) -> str:
    """Why these can be no notes; empty if they can."""
    if len(text) > NOTES_MAX:
        return f"has more than {NOTES_MAX} characters"
    if any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t" for char in text):
        return "has control characters in it"
    return ""


def _word_fault(text: str, at_most: int) -> str:
    if not text.strip():
        return "is empty"
    if len(text) > at_most:
        return f"has more than {at_most} characters"
    return "" if text.isprintable() and text == text.strip() else "has control characters or blanks around it"


def checked_disposition(text: str, allowed: Collection[str]) -> str:
    """The word as it is to be kept. ``allowed``: the only ones there are, if any. Raises UnknownNameError."""
    if not text or not allowed or text in allowed:
        return text
    by_lower = {word.lower(): word for word in allowed}
    found = get_close_matches(text.lower(), by_lower, n=1, cutoff=0.4)
    raise UnknownNameError("disposition", text, by_lower[found[0]] if found else None)


def changed_tags(old: Sequence[str], add: Sequence[str], remove: Sequence[str]) -> tuple[str, ...]:
    """The tags after a change. Raises UnknownNameError for one to be removed that is not there, RefusedError when there
    would be too many."""
    for tag in remove:
        if tag not in old:
            raise UnknownNameError("tag", tag, next(iter(get_close_matches(tag, old, n=1)), None))
    new = dict.fromkeys([tag for tag in old if tag not in remove] + list(add))
    if len(new) > TAGS_MAX:
        raise RefusedError(f"a call has at most {TAGS_MAX} tags, and this would be {len(new)}")
    return tuple(new)


def joined_notes(old: str, new: str, *, append: bool) -> str:
    """The notes after a change. Raises RefusedError when they would be too long."""
    text = f"{old}\n{new}" if append and old and new else (old if append and not new else new)
    if len(text) > NOTES_MAX:
        raise RefusedError(f"the notes of a call have at most {NOTES_MAX} characters, and these would be {len(text)}")
    return text
