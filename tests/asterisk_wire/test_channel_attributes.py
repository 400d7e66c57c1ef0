"""What the dialplan says of a caller: sound attributes are taken, and of the rest it is said once what is wrong."""

from __future__ import annotations

from acd.asterisk.registration import MAX_TEXT, read_attributes
from acd.domain.attributes import MAX_ATTRIBUTES


def test_sound_ones() -> None:
    assert read_attributes(" language = nl ; tier=gold; ;") == ({"language": "nl", "tier": "gold"}, [])


def test_what_is_wrong_is_told_and_costs_nothing_else() -> None:
    found, wrong = read_attributes("language=nl;Bad-Name=1;tier=go\x07ld")
    assert found == {"language": "nl"}
    assert [one.split(" ", 1)[0] for one in wrong] == ["'Bad-Name'", "'tier'"]
    assert "cannot be printed" in wrong[1]


def test_too_many_and_too_long() -> None:
    found, wrong = read_attributes(";".join(f"a{n}=1" for n in range(MAX_ATTRIBUTES + 5)))
    assert (len(found), wrong) == (MAX_ATTRIBUTES, [f"more than {MAX_ATTRIBUTES} attributes"])
    found, wrong = read_attributes("a=1;b=2;" + ";" * MAX_TEXT)
    assert (found, wrong) == ({"a": "1", "b": "2"}, [f"longer than {MAX_TEXT} characters"])
