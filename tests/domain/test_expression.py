"""Expressions against a slow and obvious evaluation of the same meaning, and everything that may be wrong with one."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.domain.attributes import fault_of, holds
from acd.domain.expression import (
    ANYONE,
    NOBODY,
    AllOf,
    AnyOf,
    Expression,
    ExpressionError,
    Requirement,
    SkillIn,
    Value,
    all_of,
    any_of,
    at_least,
    at_least_all,
    parse,
)

SKILLS = ("billing", "en", "nl", "tier-2")
NAMES = ("language", "level", "tier")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
ORDER = (">=", ">", "<=", "<")

# -- the slow one: its own tree, its own printer, its own evaluation; nothing is folded, pushed down or remembered --------


@dataclass(frozen=True)
class Term:
    """A piece of an expression: its text, how tightly it holds together (or 0, and 1, not 2, comparison 3), its meaning."""

    text: str
    tightness: int
    holds: Callable[[Mapping[str, Value], Mapping[str, int]], bool]


def in_parentheses(term: Term, tightness: int) -> str:
    return f"({term.text})" if term.tightness < tightness else term.text


def plain_number(value: Value) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def plain_compare(left: Value, symbol: str, right: Value) -> bool:
    """Numbers if one is a number and the other can be read as one, or if two texts are put in order; else words."""
    numbers = plain_number(left), plain_number(right)
    two_texts = isinstance(left, str) and isinstance(right, str)
    if None not in numbers and (symbol in ORDER or not two_texts):
        return COMPARE[symbol](*numbers)
    words = [str(value).lower() if isinstance(value, bool) else str(value) for value in (left, right)]
    return symbol not in ORDER and COMPARE[symbol](*words)


# few levels, so that terms and agents often meet
edges = st.sampled_from([-1, 0, 1, 49, 50, 51, 99, 100])
skill_operands = st.one_of(
    st.sampled_from(SKILLS).map(lambda skill: (skill, lambda call, agent: agent.get(skill, -1))),
    st.sampled_from(NAMES).map(
        lambda name: (
            f"skill(call.{name})",
            lambda call, agent: agent.get(call[name], -1) if call.get(name) in SKILLS else None,
        )
    ),
)
call_operands = st.sampled_from(NAMES).map(lambda name: (f"call.{name}", lambda call, agent: call.get(name)))
words = st.sampled_from(["nl", "en", "gold", "billing", "it's", "3", "50", "true"])


def quoted(word: str) -> str:
    return f'"{word}"' if "'" in word else f"'{word}'"


@st.composite
def comparisons(draw: st.DrawFn) -> Term:
    about_skill = draw(st.sampled_from([True, True, False]))
    text, value_of = draw(skill_operands if about_skill else call_operands)
    levels = st.one_of(edges, edges, st.integers(-1, 100))
    kind = draw(st.sampled_from(["fixed", "fixed", "attribute", "list", "alone"]))
    if kind == "alone" and about_skill:
        return Term(text, 3, lambda call, agent: (value_of(call, agent) or 0) >= 1)
    if kind == "list":
        values: list[Any] = draw(st.lists(levels if about_skill else st.one_of(levels, words), min_size=1, max_size=4))
        negated = draw(st.booleans())
        shown = ", ".join(quoted(v) if isinstance(v, str) else str(v) for v in values)

        def in_list(call: Mapping[str, Value], agent: Mapping[str, int]) -> bool:
            value = value_of(call, agent)
            return value is not None and any(plain_compare(value, "==", v) for v in values) is not negated

        return Term(f"{text} {'not ' if negated else ''}in ({shown})", 3, in_list)
    symbol = draw(st.sampled_from(sorted(COMPARE)))
    if kind == "attribute":
        right_text, right_of = draw(call_operands)
        # right of call.NAME a bare word is a text, not a skill
        swap = text not in SKILLS and draw(st.booleans())
    else:
        literal: Any = draw(levels if about_skill or symbol in ORDER else st.one_of(levels, words))
        right_text, right_of = (
            quoted(literal) if isinstance(literal, str) else str(literal),
            lambda call, agent: literal,
        )
        swap = draw(st.booleans())

    def compares(call: Mapping[str, Value], agent: Mapping[str, int]) -> bool:
        values = value_of(call, agent), right_of(call, agent)
        if None in values or (about_skill and plain_number(values[1]) is None):
            return False
        return plain_compare(*((values[1], symbol, values[0]) if swap else (values[0], symbol, values[1])))

    return Term(f"{right_text} {symbol} {text}" if swap else f"{text} {symbol} {right_text}", 3, compares)


def negation(item: Term) -> Term:
    return Term(f"not {in_parentheses(item, 2)}", 2, lambda call, agent: not item.holds(call, agent))


def junction(items: list[Term], every: bool) -> Term:
    word, tightness, test = (" and ", 1, all) if every else (" or ", 0, any)
    text = word.join(in_parentheses(item, tightness + 1) for item in items)
    return Term(text, tightness, lambda call, agent: test(item.holds(call, agent) for item in items))


terms = st.recursive(
    st.one_of(
        comparisons(),
        st.just(Term("anyone", 3, lambda call, agent: True)),
        st.just(Term("nobody", 3, lambda call, agent: False)),
    ),
    lambda inner: st.one_of(
        inner.map(negation),
        st.builds(junction, st.lists(inner, min_size=2, max_size=4), st.booleans()),
    ),
    max_leaves=12,
)
# levels that the terms speak of are the ones that matter
attribute_values = st.one_of(
    words, st.integers(-2, 102), st.sampled_from([49.5, 1e300, float("inf"), True, False, "0050", "-1", "1.5", ""])
)
calls = st.dictionaries(st.sampled_from(NAMES), attribute_values)
agents = st.dictionaries(
    st.sampled_from(SKILLS), st.one_of(edges.filter(lambda level: level >= 0), st.integers(0, 100))
)
#: Every agent who has each skill not at all, somewhat, or well.
GRID = [
    {skill: level for skill, level in zip(SKILLS, levels, strict=True) if level >= 0}
    for levels in product((-1, 49, 100), repeat=len(SKILLS))
]


@given(terms, st.lists(calls, min_size=1, max_size=2), st.lists(agents, min_size=1, max_size=4))
@settings(max_examples=600, deadline=None)
def test_bound_and_asked_is_what_it_says(term: Term, of_calls: list[dict[str, Value]], of_agents: list[Any]) -> None:
    expression = parse(term.text, SKILLS)
    for call in of_calls:
        requirement = expression.bind(call, SKILLS)
        assert expression.bind(call, SKILLS) is requirement
        for agent in [*of_agents, *GRID]:
            expected = term.holds(call, agent)
            assert requirement.admits(agent) is expected
            assert (requirement.why_not(agent) == "") is expected
            # what no attribute could bring about, none does
            assert expression.could_admit(agent) or not expected
            assert expression.attributes or expression.could_admit(agent) is expected


@given(terms)
@settings(max_examples=800, deadline=None)
def test_printed_and_parsed_is_the_same(term: Term) -> None:
    expression = parse(term.text, SKILLS)
    again = parse(expression.text, SKILLS)
    assert again == expression
    assert again.text == expression.text
    assert parse(f"  ( ({term.text} ) )\n", SKILLS) == expression


@given(terms, calls)
@settings(max_examples=800, deadline=None)
def test_what_is_left_of_it_is_an_expression_too(term: Term, call: dict[str, Value]) -> None:
    requirement = parse(term.text, SKILLS).bind(call, SKILLS)
    assert parse(requirement.text, SKILLS).bind({}, SKILLS) == requirement
    assert requirement.skills <= set(SKILLS)
    check_canonical(requirement)


def check_canonical(requirement: Requirement, inside: type | None = None) -> None:
    if isinstance(requirement, AllOf | AnyOf):
        assert type(requirement) is not inside
        assert len(requirement.items) >= 2
        assert len(set(requirement.items)) == len(requirement.items)
        assert requirement.skills == {skill for item in requirement.items for skill in item.skills}
        for item in requirement.items:
            check_canonical(item, type(requirement))
    elif isinstance(requirement, SkillIn):
        assert -1 <= requirement.low <= requirement.high <= 100
    else:
        assert inside is None, "anyone and nobody never stand inside"


@given(st.permutations(["en >= 4", "nl", "(billing or nl >= 90)", "not en > 80", "call.tier != gold"]), st.booleans())
def test_order_and_repetition_do_not_matter(parts: list[str], every: bool) -> None:
    word = " and " if every else " or "
    first, second = (
        parse(word.join(items), SKILLS).bind({}, SKILLS) for items in (parts, [*reversed(parts), parts[0]])
    )
    assert first == second
    assert hash(first) == hash(second)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("billing", "billing >= 1"),
        ("not billing", "billing <= 0"),
        ("billing < 0", "billing < 0"),
        ("not billing >= 0", "billing < 0"),
        ("billing >= -1", "anyone"),
        ("billing < -1", "nobody"),
        ("billing > 100", "nobody"),
        ("billing >= 60 and billing < 50", "nobody"),
        ("billing >= 60 or billing < 70", "anyone"),
        ("billing >= 20 and billing <= 20", "billing == 20"),
        ("billing >= 20 and not billing >= 30", "billing >= 20 and billing <= 29"),
        ("billing != 20", "billing <= 19 or billing >= 21"),
        ("billing in (1, 3, 2, 90)", "billing >= 1 and billing <= 3 or billing == 90"),
        ("not (nl >= 4 and en >= 5)", "en <= 4 or nl <= 3"),
        ("nl and (nl or en)", "nl >= 1"),
        ("nl or (nl and en)", "nl >= 1"),
        ("nl >= 50 and (nl or en)", "nl >= 50"),
        ("nl >= 50 and (nl >= 60 or en)", "nl >= 50 and (en >= 1 or nl >= 60)"),
        ("(en or nl) and (nl or en)", "en >= 1 or nl >= 1"),
        ("billing or nl and en", "billing >= 1 or en >= 1 and nl >= 1"),
        ("billing >= 9 or billing and en", "billing >= 9 or billing >= 1 and en >= 1"),
        ("nl and (anyone or en)", "nl >= 1"),
        ("nl and not anyone", "nobody"),
        ("nl and call.vip == true", "nobody"),
        ("nl and not call.vip == true", "nl >= 1"),
        ("nl and call.vip != true", "nobody"),
        ("nl or call.vip not in (a, b)", "nl >= 1"),
        ("skill(call.language) < 50", "nobody"),
        ("not skill(call.language) < 50", "anyone"),
    ],
)
def test_canonical_form(text: str, left: str) -> None:
    assert parse(text, SKILLS).bind({}, SKILLS).text == left


def test_attributes_are_put_in() -> None:
    expression = parse("skill(call.language) >= call.level and call.tier in (gold, 'very important')", SKILLS)
    assert expression.attributes == {"language": True, "level": False, "tier": False}
    bound = expression.bind({"language": "nl", "level": "80", "tier": "very important", "other": 1}, SKILLS)
    assert bound == at_least("nl", 80)
    assert expression.bind({"language": "xx", "level": 80, "tier": "gold"}, SKILLS) == NOBODY
    assert expression.bind({"language": "nl", "level": "high", "tier": "gold"}, SKILLS) == NOBODY
    # a skill the floor does not know (any more) is none
    assert expression.bind({"language": "nl", "level": 80, "tier": "gold"}, ("en",)) == NOBODY


def test_true_and_one_are_told_apart_by_what_is_remembered() -> None:
    expression = parse("call.vip == 1", SKILLS)
    assert [expression.bind({"vip": value}, SKILLS) for value in (1, True, 1.0, "1", "true")] == [
        ANYONE,
        NOBODY,
        ANYONE,
        ANYONE,
        NOBODY,
    ]


def test_what_is_remembered_is_bounded() -> None:
    expression = parse("skill(call.language) >= call.level", SKILLS)
    for level in range(5_000):
        expression.bind({"language": "nl", "level": level}, SKILLS)
    assert len(expression._bound) <= 1_000


def test_reasons_in_words() -> None:
    need = parse("billing >= 60 and (nl >= 80 or en >= 90) and not tier-2", SKILLS).bind({}, SKILLS)
    assert need.text == "billing >= 60 and tier-2 <= 0 and (en >= 90 or nl >= 80)"
    assert need.why_not({}) == "needs billing >= 60, does not have it"
    assert need.why_not({"billing": 59}) == "needs billing >= 60, has 59"
    assert need.why_not({"billing": 60, "tier-2": 1}) == "needs tier-2 <= 0, has 1"
    assert need.why_not({"billing": 60, "nl": 79}) == "needs en >= 90 or nl >= 80, has nl 79"
    assert need.why_not({"billing": 60}) == "needs en >= 90 or nl >= 80, has none of these"
    assert need.why_not({"billing": 60, "nl": 80}) == ""
    assert (ANYONE.why_not({}), NOBODY.why_not({})) == ("", "nobody can meet it")


def test_requirements_cannot_be_changed() -> None:
    need = at_least("nl", 5)
    with pytest.raises(AttributeError):
        need.low = 1  # type: ignore[attr-defined]
    assert {need: 1}[at_least("nl", 5)] == 1
    with pytest.raises(ValueError, match="no range"):
        SkillIn("nl", 7, 3)


def test_made_by_hand() -> None:
    assert all_of([]) == ANYONE
    assert any_of([]) == NOBODY
    assert all_of([at_least("nl", 0), ANYONE]) == SkillIn("nl", 0)
    assert at_least_all({}).bind({}, ()) == ANYONE
    assert at_least_all({"nl": 4}) == parse("nl >= 4", SKILLS)
    assert at_least_all({"nl": 4, "en": 5}) == parse("nl >= 4 and en >= 5", SKILLS)


CARET: list[tuple[str, int, str]] = [
    ("", 0, "a skill, call.NAME, a number or a text must follow here, but the expression ends"),
    ("biling >= 60", 0, "there is no skill 'biling' (nearest right name: billing)"),
    ("nl and xyz", 7, "there is no skill 'xyz' (right names: billing, en, nl, tier-2)"),
    ("nl AND en", 3, "and, or must stand here, not 'AND'; write and"),
    ("NOT nl", 0, "there is no skill 'NOT'; write not"),
    ("nl && en", 3, "'&' means nothing here; write and"),
    ("nl = 3", 3, "'=' means nothing here; write == (or >=)"),
    ("nl >=", 5, "a skill, call.NAME, a number or a text must follow here, but the expression ends"),
    ("nl >= 101", 6, "proficiency 101 is out of range: 0 to 100"),
    ("101 <= nl", 0, "proficiency 101 is out of range: 0 to 100"),
    ("nl in (3, -2)", 10, "proficiency -2 is out of range: 0 to 100"),
    ("nl >= 1.5", 6, "a proficiency is a whole number from 0 to 100, not 1.5"),
    ("nl >= high", 6, "there is no skill 'high' (right names: billing, en, nl, tier-2)"),
    ("nl == 'high'", 6, "a proficiency is a whole number from 0 to 100, not 'high'"),
    ("nl >= en", 6, "two skills cannot be compared with each other; write a number or call.NAME"),
    ("3 < 4", 0, "compares two fixed values; a skill or call.NAME must stand on one side"),
    ("call.x", 6, "a comparison (>= > <= < == != in) must follow here, but the expression ends"),
    ("call.x and nl", 7, "a comparison (>= > <= < == != in) must stand here, not 'and'"),
    ("call.x >= zz", 10, "a text can be == or != or in a list, but not >="),
    ("call.x <= nl", 10, "a text can be == or != or in a list, but not <=; if a skill is meant, write it first"),
    ("call.X == 1", 5, "the name of an attribute is of lower-case letters, digits and _, a letter first, at most 40 "),
    ("call. == 1", 6, "the name of an attribute is of lower-case letters"),
    ("nl not 3", 7, "in must stand here, not '3'"),
    ("nl in 3", 6, "( and the values must stand here, not '3'"),
    ("nl in ()", 7, "a skill, call.NAME, a number or a text must stand here, not ')'"),
    ("nl in (1 2)", 9, ", or ) must stand here, not '2'"),
    ("call.x in (call.y)", 11, "a number or a text must stand here, not call.y"),
    ("call.x in (a, and)", 14, "a value must stand here, not 'and'"),
    ("3 in (3)", 0, "a skill or call.NAME must stand before in"),
    ("skill(nl)", 6, "call.NAME, the attribute that names the skill must stand here, not 'nl'"),
    ("skill(call.x >= 1", 13, ") must stand here, not '>='"),
    ("skill >= 3", 0, "a skill, call.NAME, a number or a text must stand here, not 'skill'"),
    ("(nl and (en)", 0, "this ( is never closed"),
    ("nl)", 2, "and, or must stand here, not ')'"),
    ("nl en", 3, "and, or must stand here, not 'en'"),
    ("(nl en)", 4, "and, or, ) must stand here, not 'en'"),
    ("call.x == 'gold", 10, "this text is never closed"),
    ("call.x == '\x1b[2J'", 10, "a text has at most 200 characters, all of which can be printed"),
    ("call.x == 1234567890123456", 10, "a number has at most 15 digits, and 6 behind the point"),
    ("nl and é", 7, "'é' means nothing here; put texts in quotes"),
    ("nl and", 6, "a skill, call.NAME, a number or a text must follow here, but the expression ends"),
    ("not", 3, "a skill, call.NAME, a number or a text must follow here, but the expression ends"),
]


@pytest.mark.parametrize(("text", "position", "message"), CARET, ids=[text for text, _, _ in CARET])
def test_errors_point_at_the_character(text: str, position: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text, SKILLS)
    error = caught.value
    assert error.message.startswith(message)
    assert error.position == position
    said, shown, caret = str(error).split("\n")
    assert said == f"{error.message}, at character {position + 1}"
    assert len(shown) == len(text)
    assert caret == " " * position + "^"
    assert shown.isprintable()


def refused(text: str) -> ExpressionError:
    started = time.process_time()
    with pytest.raises(ExpressionError) as caught:
        parse(text, SKILLS)
    assert time.process_time() - started < 0.2
    assert len(str(caught.value)) < 400
    return caught.value


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("x" * 10_000, 2_000, "an expression has at most 2000 characters, not 10000"),
        ("nl and " * 1_428 + "nl", 2_000, "an expression has at most 2000 characters, not 9998"),
        ("(" * 1_000 + "nl" + ")" * 998, 32, "nested more than 32 deep"),
        ("(" * 2_000, 32, "nested more than 32 deep"),
        ("not " * 499 + "nl", 128, "nested more than 32 deep"),
        ("(not " * 300, 80, "nested more than 32 deep"),
        ("nl or " * 300 + "nl", 1_200, "an expression has at most 200 terms"),
        ("nl in (" + "1," * 900 + "1)", 7 + 2 * 199, "an expression has at most 200 terms"),
        ("nl in (" + "1" * 1_900 + ")", 7, "a number has at most 15 digits"),
        ("'" * 1_999, 2, "a comparison (>= > <= < == != in) must stand here, not the text ''"),
        ("-" * 2_000, 0, "'-' means nothing here"),
        (" " * 2_000, 2_000, "a skill, call.NAME"),
        ("a" * 2_000, 0, "there is no skill 'aaaa"),
        (")" * 2_000, 0, "a skill, call.NAME"),
        ("nl" + ")" * 1_000, 2, "and, or must stand here"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else str(value),
)
def test_hostile_input_is_refused_quickly(text: str, position: int, message: str) -> None:
    error = refused(text)
    assert error.message.startswith(message)
    assert error.position == position
    shown, caret = error.excerpt
    assert len(shown) <= 76
    assert len(caret) <= len(shown) + 1


def test_the_limits_themselves_are_right() -> None:
    assert parse("(" * 32 + "nl" + ")" * 32, SKILLS) == parse("nl", SKILLS)
    assert parse("not " * 32 + "nl", SKILLS).bind({}, SKILLS) == at_least("nl", 1)
    wide = parse(" or ".join(["nl"] * 200), SKILLS)
    assert wide.bind({}, SKILLS) == at_least("nl", 1)
    assert parse("nl".ljust(2_000), SKILLS) == parse("nl", SKILLS)
    # siblings are not nested
    assert parse(" and ".join(["(not (nl))"] * 100), SKILLS).bind({}, SKILLS).text == "nl <= 0"


@given(st.text(alphabet=st.sampled_from("nleb(),.=<>!'\" 19-\n\tandortcil_"), max_size=60))
@settings(max_examples=2_000, deadline=None)
def test_any_text_of_its_own_characters(text: str) -> None:
    parses_or_says_where(text)


pieces = st.sampled_from(
    ["nl", "en", "(", ")", "and", "or", "not", "in", "call.x", "skill(call.x)", ">=", "!=", "5", "'a'", ",", "anyone"]
)


@given(st.lists(pieces, max_size=14).map(" ".join))
@settings(max_examples=2_000, deadline=None)
def test_any_order_of_its_own_words(text: str) -> None:
    parses_or_says_where(text)


@given(st.text(max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_text(text: str) -> None:
    parses_or_says_where(text)


def parses_or_says_where(text: str) -> None:
    try:
        expression = parse(text, SKILLS)
    except ExpressionError as caught:
        error = caught
    else:
        assert isinstance(expression, Expression)
        assert parse(expression.text, SKILLS) == expression
        return
    assert 0 <= error.position <= len(text)
    assert error.message.isprintable()
    assert all(line.isprintable() for line in error.excerpt)


@pytest.mark.parametrize(
    ("left", "symbol", "right", "expected"),
    [
        ("0050", "==", "50", False),
        ("0050", "==", 50, True),
        (50, "==", "50.0", True),
        ("0050", "!=", "50", True),
        ("0050", ">=", "50", True),
        ("9", "<", "10", True),
        ("a", "<", "b", False),
        ("a", "==", "a", True),
        ("a", "!=", 5, True),
        ("a", "<", 5, False),
        (True, "==", "true", True),
        (True, "==", 1, False),
        (True, "!=", 1, True),
        (True, ">=", 0, False),
        (False, "==", "False", False),
        (float("nan"), "<", 5, False),
        (float("nan"), "==", 5, False),
        (10**400, ">", 1.5, True),
        ("1" * 16, ">", 5, False),
    ],
)
def test_how_values_compare(left: Value, symbol: str, right: Value, expected: bool) -> None:
    assert holds(left, symbol, right) is expected


@pytest.mark.parametrize(
    ("text", "agent", "could"),
    [
        ("call.x == a and nl", {}, False),
        ("call.x == a or nl", {}, True),
        ("not call.x == a", {}, True),
        ("skill(call.x) >= 50", {"nl": 49}, False),
        ("skill(call.x) >= 50", {"nl": 50}, True),
        ("not skill(call.x) >= 50", {"nl": 50}, True),
        ("skill(call.x) < 0", {"nl": 50}, True),
        ("nl >= call.x", {}, True),
        ("not (nl or call.x == a)", {"nl": 1}, False),
        ("call.x in (a, b) and anyone", {}, True),
        ("nobody or skill(call.x) in (1, 2)", {"en": 3}, False),
    ],
)
def test_whom_some_call_could_admit(text: str, agent: dict[str, int], could: bool) -> None:
    assert parse(text, SKILLS).could_admit(agent) is could


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("language", "nl", ""),
        ("vip", True, ""),
        ("n", 10**30, ""),
        ("x", 1.5, ""),
        ("x", float("nan"), "is no finite number"),
        ("x", float("inf"), "is no finite number"),
        ("x", "a" * 200, ""),
        ("x", "a" * 201, "is longer than 200 characters"),
        ("x", "a\nb", "holds a character that cannot be printed"),
        ("X", "a", "has a name that is not of lower-case letters"),
        ("", "a", "has a name that is not of"),
        ("x" * 41, "a", "has a name that is not of"),
    ],
)
def test_attributes_that_a_call_may_have(name: str, value: Value, fault: str) -> None:
    assert fault_of(name, value).startswith(fault)
    assert bool(fault_of(name, value)) is bool(fault)
