"""Keys of acd.toml are found in the line where they stand, however they are written."""

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.config.toml_lines import Spot, locate_keys

TEXT = '''\
# [comment]
top = "# no comment [x]"  # but this is
[a.b] # table
  key = 1
"quoted key" = """
[not.a.table]
not_a_key = 1
\\""" ""\\\\"""
'literal' = \'\'\'
x = 1\'\'\'
after.dots = [ 1, # ]
  "]", { in_array = 1 },
]
[[list]]
one = { x = 1, y = { z = "}" }, "w" = [1, 2] }
[[list]]
two = 2
[ a . "c d" ]
last = 2021-01-01'''


def test_every_way_of_writing_a_key() -> None:
    tomllib.loads(TEXT)
    assert locate_keys(TEXT) == {
        ("top",): Spot(2, 1),
        ("a",): Spot(3, 1),
        ("a", "b"): Spot(3, 1),
        ("a", "b", "key"): Spot(4, 3),
        ("a", "b", "quoted key"): Spot(5, 1),
        ("a", "b", "literal"): Spot(9, 1),
        ("a", "b", "after"): Spot(11, 1),
        ("a", "b", "after", "dots"): Spot(11, 1),
        ("list",): Spot(14, 1),
        ("list", "one"): Spot(15, 1),
        ("list", "one", "x"): Spot(15, 9),
        ("list", "one", "y"): Spot(15, 16),
        ("list", "one", "y", "z"): Spot(15, 22),
        ("list", "one", "w"): Spot(15, 33),
        ("list", "two"): Spot(17, 1),
        ("a", "c d"): Spot(18, 1),
        ("a", "c d", "last"): Spot(19, 1),
    }


@pytest.mark.parametrize("text", ["", "\n", "#", "a=1", "a=1\r\n\r\nb=2\r\n"])
def test_edges(text: str) -> None:
    assert {path[0] for path in locate_keys(text)} == set(tomllib.loads(text))


names = st.text(alphabet="ab#=[]{}.,' \t", max_size=4)
texts = st.text(alphabet="ab#=[]{}.,' \t\n", max_size=8)
values = st.recursive(
    st.one_of(st.integers(), texts), lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(names, v, max_size=3))
)


def written(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(written(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value) if "\n" not in value else f'"""{value}"""'
    return str(value)


@given(st.dictionaries(names, st.dictionaries(names, values, max_size=3), max_size=3))
@settings(max_examples=300, deadline=None)
def test_every_key_is_found_where_it_stands(tables: dict[str, dict[str, object]]) -> None:
    lines: list[str] = []
    expected = {}
    for table, pairs in tables.items():
        lines.append(f"[{json.dumps(table)}]")
        expected[(table,)] = len(lines)
        for key, value in pairs.items():
            expected[table, key] = len(lines) + 1
            lines.extend(f"{json.dumps(key)} = {written(value)}".split("\n"))
    text = "\n".join(lines)
    assert set(tomllib.loads(text)) == set(tables)
    found = {path: spot.line for path, spot in locate_keys(text).items() if len(path) <= 2}
    assert found == {tuple(decoded(part) for part in path): line for path, line in expected.items()}


def decoded(name: str) -> str:
    """A key as the locator gives it: what stands between the quotes, escapes as written."""
    return json.dumps(name)[1:-1]
