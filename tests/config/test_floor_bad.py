"""Wrong floors and the exact lines said about each; many mistakes in one file are all said at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acd.config import ProblemsError, load_floor
from acd.config.floor import parse_floor
from acd.config.problems import MAX_PROBLEMS, Problems
from acd.domain.errors import ConfigurationError

TABLE = Path(__file__).with_name("floor_problems.txt")
PIN_WARNING = (
    "pin of agent 'anna' can be read by whoever reads this file; "
    "put pin_hash in its place, made with `acd agent hash-pin`"
)


def cases() -> list[tuple[str, str, list[str]]]:
    """(name, floor.yaml, problems) of every case in the table."""
    found = []
    for part in TABLE.read_text(encoding="utf-8").split("\n### ")[1:]:
        name, rest = part.split("\n", 1)
        text, lines = rest.rsplit("=>\n", 1)
        found.append((name, text, [f"floor.yaml:{line}" for line in lines.splitlines() if line]))
    return found


@pytest.mark.parametrize(("text", "lines"), [pytest.param(text, lines, id=name) for name, text, lines in cases()])
def test_exactly_these_problems_are_said(text: str, lines: list[str]) -> None:
    assert lines
    problems = Problems("floor.yaml")
    if all(": warning: " in line for line in lines):
        assert [str(warning) for warning in parse_floor(text, problems).warnings] == lines
        return
    with pytest.raises(ConfigurationError) as caught:
        parse_floor(text, problems)
    assert caught.value.problems == lines
    assert str(caught.value) == "\n".join(lines)


def test_mistakes_of_every_kind_in_one_file_are_all_said(tmp_path: Path) -> None:
    path = tmp_path / "floor.yaml"
    path.write_text(
        """\
skills: [billing]
queues:
  sales: {wrapup: 5, skills: {biling: 50}, max_wait: 1m, overflow: queue:support}
  support: {max_wait: 1m, overflow: queue:sales}
agents:
  anna: {number: 1001, phones: [PJSIP/1001], queues: [sales], pin: 1234}
  anna: {number: 1002, phones: [PJSIP/1002]}
  bob: {number: 1001, phones: [PJSIP/1001], queues: [sale]}
entry_points: {'100': suport}
"""
    )
    with pytest.raises(ProblemsError) as caught:
        load_floor(path)
    assert caught.value.problems == [
        f"{path}:3:11: unknown key 'wrapup' in queue 'sales' (nearest right name: wrap_up)",
        f"{path}:3:31: skill 'biling' is not defined under skills (nearest right name: billing)",
        f"{path}:3:68: overflow goes in a circle: sales -> support -> sales; end it elsewhere",
        f"{path}:6:68: warning: {PIN_WARNING}",
        f"{path}:7:3: 'anna' stands twice here; first in line 6",
        f"{path}:8:17: number 1001 of agent 'bob' is already that of agent 'anna' (line 6)",
        f"{path}:8:32: phone PJSIP/1001 of agent 'bob' is already that of agent 'anna' (line 6)",
        f"{path}:8:54: queue 'sale' is not defined under queues (nearest right name: sales)",
        f"{path}:9:23: queue 'suport' is not defined under queues (nearest right name: support)",
    ]
    assert json.loads(json.dumps([problem.as_json() for problem in caught.value.found]))[3:5] == [
        {
            "file": str(path),
            "line": 6,
            "column": 68,
            "severity": "warning",
            "message": PIN_WARNING,
        },
        {
            "file": str(path),
            "line": 7,
            "column": 3,
            "severity": "error",
            "message": "'anna' stands twice here; first in line 6",
        },
    ]


def test_a_wrong_shared_part_is_said_once() -> None:
    text = "x-q: &q {wrapup: 5, ring_timeout: x}\nqueues: {a: {<<: *q}, b: {<<: *q}}\n"
    with pytest.raises(ProblemsError) as caught:
        parse_floor(text, Problems("f"))
    assert caught.value.problems == [
        "f:1:10: unknown key 'wrapup' in queue 'a' (nearest right name: wrap_up)",
        "f:1:10: unknown key 'wrapup' in queue 'b' (nearest right name: wrap_up)",
        "f:1:35: ring_timeout of queue 'a' must be a duration such as 20s, 2m or 1m30s, not 'x'",
        "f:1:35: ring_timeout of queue 'b' must be a duration such as 20s, 2m or 1m30s, not 'x'",
    ]


def test_so_many_mistakes_are_counted_not_listed() -> None:
    agents = "".join(f"  a{i}: {{number: {i}, phones: [PJSIP/{i}], queues: [slaes]}}\n" for i in range(5_000))
    with pytest.raises(ProblemsError) as caught:
        parse_floor(f"queues: {{sales: {{}}}}\nagents:\n{agents}", Problems("f"))
    assert len(caught.value.problems) == MAX_PROBLEMS + 1
    assert caught.value.problems[0] == "f:3:47: queue 'slaes' is not defined under queues (nearest right name: sales)"
    assert caught.value.problems[-1] == f"f: and {5_000 - MAX_PROBLEMS} more problems, not listed"


def test_errors_are_not_crowded_out_by_warnings() -> None:
    agents = "".join(f"  a{i}: {{number: {i}, phones: [PJSIP/{i}], pin: 123}}\n" for i in range(500))
    with pytest.raises(ProblemsError) as caught:
        parse_floor(f"queues: {{sales: {{}}}}\nagents:\n{agents}fallback: nowhere\n", Problems("f"))
    errors = [problem for problem in caught.value.found if problem.severity == "error" and problem.line]
    assert [problem.line for problem in errors] == [503]
