"""Values: compared and hashed by their fields, and frozen as far as mypy sees."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import pytest
from mypy import api

from acd.domain import values
from acd.domain.values import valueclass


@valueclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 0
    seen: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Frozen:
    x: int
    y: int = 0
    seen: str = field(default="", compare=False)


@valueclass(frozen=True, slots=True, kw_only=True)
class Named(Point):
    name: str


def test_equal_fields_make_equal_values_with_one_hash() -> None:
    assert Point(1, 2) == Point(1, 2, "elsewhere")
    assert hash(Point(1, 2)) == hash(Point(1, 2, "elsewhere"))
    assert Point(1, 2) != Point(1, 3)
    assert len({Point(1), Point(1, 0), Point(2)}) == 2


def test_a_value_is_a_dataclass_with_slots() -> None:
    assert [one.name for one in fields(Named)] == ["x", "y", "seen", "name"]
    assert replace(Named(1, name="a"), y=5) == Named(1, 5, name="a")
    assert not hasattr(Named(1, name="a"), "__dict__")


def test_it_is_pickled_as_a_frozen_dataclass_is() -> None:
    assert pickle.loads(pickle.dumps(Named(1, 2, "here", name="a"))).seen == "here"
    assert Point(1, 2).__reduce_ex__(5)[2] == Frozen(1, 2).__reduce_ex__(5)[2] == [1, 2, ""]


def test_only_frozen_ones_are_values() -> None:
    with pytest.raises(TypeError, match="frozen"):
        valueclass(frozen=False, slots=True)


def test_mypy_refuses_an_assignment_to_a_field(tmp_path: Path) -> None:
    """The run time does not freeze: so nothing but mypy keeps a value from being changed."""
    (tmp_path / "values.py").write_text(Path(values.__file__).read_text(), encoding="utf-8")
    use = tmp_path / "use.py"
    use.write_text(
        "from values import valueclass\n"
        "@valueclass(frozen=True, slots=True)\n"
        "class Point:\n"
        "    x: int\n"
        "def move(point: Point) -> None:\n"
        "    point.x = 2\n"
    )
    said, _, status = api.run(["--strict", f"--config-file={os.devnull}", f"--cache-dir={os.devnull}", str(use)])
    assert status == 1
    assert 'use.py:6: error: Property "x" defined in "Point" is read-only' in said
