"""What may be said of a call."""

from __future__ import annotations

import pytest

from acd.domain.annotations import (
    NOTES_MAX,
    TAGS_MAX,
    changed_tags,
    checked_disposition,
    disposition_fault,
    joined_notes,
    notes_fault,
    tag_fault,
)
from acd.domain.errors import RefusedError, UnknownNameError


@pytest.mark.parametrize("text", ["", " ", "a b", "a,b", "+a", "-a", "a\n", "x" * 41, "a\u202eb"])
def test_no_tags(text: str) -> None:
    assert tag_fault(text)


def test_tags_and_dispositions_of_any_language() -> None:
    assert [tag_fault(text) for text in ("vip", "größe", "a-b", "客户")] == [""] * 4
    assert [disposition_fault(text) for text in ("sold", "called back", "Wéi g'lätt")] == [""] * 3
    assert all(disposition_fault(text) for text in ("", " x", "a\tb", "x" * 61))
    assert [notes_fault(text) for text in ("", "a\n\tb", "x" * NOTES_MAX)] == [""] * 3
    assert all(notes_fault(text) for text in ("x" * (NOTES_MAX + 1), "a\0", "a\x1b", "\ud800"))


def test_only_the_words_there_are_and_the_nearest_is_told() -> None:
    assert checked_disposition("anything", ()) == "anything"
    assert checked_disposition("sold", ("sold", "lost")) == "sold"
    assert checked_disposition("", ("sold",)) == ""
    with pytest.raises(UnknownNameError, match="nearest: Sold") as caught:
        checked_disposition("sodl", ("Sold", "lost"))
    assert caught.value.kind == "disposition"


def test_tags_keep_their_order() -> None:
    assert changed_tags(("a", "b", "c"), ("d", "a"), ("b",)) == ("a", "c", "d")
    with pytest.raises(UnknownNameError, match="nearest: vip"):
        changed_tags(("vip",), (), ("vipp",))
    many = [f"t{n}" for n in range(TAGS_MAX)]
    assert len(changed_tags(many, ("new",), ("t0",))) == TAGS_MAX
    with pytest.raises(RefusedError, match="at most 30"):
        changed_tags(many, ("new",), ())


def test_notes_are_replaced_or_put_below() -> None:
    assert joined_notes("old", "new", append=False) == "new"
    assert joined_notes("old", "", append=False) == ""
    assert joined_notes("old", "new", append=True) == "old\nnew"
    assert joined_notes("", "new", append=True) == "new"
    assert joined_notes("old", "", append=True) == "old"
    with pytest.raises(RefusedError, match="10001"):
        joined_notes("x" * 5000, "y" * 5000, append=True)
