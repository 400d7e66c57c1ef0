"""What the dialplan says of a caller: sound attributes are taken, and of the rest it is said once what is wrong."""

from __future__ import annotations

from acd.asterisk.registration import MAX_TEXT, read_attributes, read_question
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


def test_the_question_comes_in_one_argument() -> None:
    asked = ["pbx1|1700000000.5|7|sales:0:1|tier=gold|49|30", "5550"]
    # Commas of the DID are Asterisk's to cut at; whatever is in it stays in it
    assert read_question(asked) == ("pbx1", "1700000000.5", "7", "sales:0:1", "tier=gold", "49|30,5550")
    assert read_question(["|1700000000.5||||800"]) == ("", "1700000000.5", "", "", "", "800")
    assert read_question(["pbx1|"]) == ("pbx1", "", "", "", "", "")


def test_a_dialplan_from_before_asks_in_six() -> None:
    asked = ["pbx1", "1700000000.5", "", "", "tier=gold", "49", "30|1"]
    assert read_question(asked) == ("pbx1", "1700000000.5", "", "", "tier=gold", "49,30|1")
    assert read_question(["pbx1"]) == ("pbx1", "", "", "", "", "")
    assert read_question([]) == ("", "", "", "", "", "")
