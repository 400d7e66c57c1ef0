"""Files that want to hurt: bombs, code, pipes, giants, bytes that are no text. Each ends in a clear error, soon."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acd.config import ProblemsError, load_floor, load_settings
from acd.config.agent_reader import SKILL_KEYS
from acd.config.floor import (
    AGENT_KEYS,
    CALLER_KEYS,
    ENTRY_KEYS,
    HOURS_KEYS,
    MAX_FILE_BYTES,
    QUEUE_KEYS,
    TOP_KEYS,
    parse_floor,
)
from acd.config.problems import Problems
from acd.config.queue_reader import STAGE_KEYS, WEIGHT_KEYS
from acd.config.yaml_lines import MAX_NODES
from acd.domain.errors import ConfigurationError


def problems_of(path: Path) -> list[str]:
    """What is said about the file, without its path; and it is said within seconds."""
    started = time.process_time()
    with pytest.raises(ProblemsError) as caught:
        load_floor(path)
    assert time.process_time() - started < 10
    return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]


def said(tmp_path: Path, content: str | bytes) -> list[str]:
    path = tmp_path / "floor.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return problems_of(path)


def laughs(merge: bool) -> str:
    """Ten levels of ten aliases: 10**10 values when written out."""
    lines = ["x-0: &a0 {k: v}"]
    for level in range(1, 11):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"x-{level}: &a{level} {{{'<<' if merge else 'k'}: [{aliases}]}}")
    return "\n".join(lines) + "\nqueues: {}\n"


@pytest.mark.parametrize("merge", [False, True])
def test_billion_laughs(merge: bool, tmp_path: Path) -> None:
    (line,) = said(tmp_path, laughs(merge))
    assert line.endswith(f": its aliases expand to more than {MAX_NODES} values")


def test_quadratic_aliases(tmp_path: Path) -> None:
    items = ", ".join(f"s{i}" for i in range(1_000))
    uses = "\n".join(f"  a{i}: *list" for i in range(2_000))
    (line,) = said(tmp_path, f"x-list: &list [{items}]\nagents:\n{uses}\n")
    assert line.endswith(f": its aliases expand to more than {MAX_NODES} values")


def test_too_many_values(tmp_path: Path) -> None:
    (line,) = said(tmp_path, "x-1: [" + "1," * (MAX_NODES + 1) + "]\n")
    assert f"more than {MAX_NODES} values" in line


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")])
@pytest.mark.parametrize("depth", [21, 100_000])
def test_deep_nesting(opening: str, closing: str, depth: int, tmp_path: Path) -> None:
    (line,) = said(tmp_path, "x-1:\n  " + opening * depth + closing * depth + "\n")
    assert "nested more than 20 levels deep" in line


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system", "!!python/name:os.system", "!include", "!<tag:evil>", "!!binary", "!"]
)
def test_tags_are_refused_and_run_nothing(tag: str, tmp_path: Path) -> None:
    lines = said(tmp_path, f"x-1: {tag} 'touch /tmp/hacked'\nqueues: {{a: {{}}}}\nfallback: x\n")
    assert lines[0].startswith("1:6: the tag '")
    assert len(lines) == 2


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    assert said(tmp_path, b"queues: {}\nagents:\n  zo\xeb: {}\n") == [
        "3:5: byte 0xeb is not UTF-8; save the file as UTF-8"
    ]
    assert said(tmp_path, "queues: {}\n".encode("utf-16")) == ["1:1: byte 0xff is not UTF-8; save the file as UTF-8"]


@pytest.mark.parametrize("char", ["\0", "\x1b", "\x7f", "\ufffe"])
def test_characters_that_yaml_forbids(char: str, tmp_path: Path) -> None:
    (line,) = said(tmp_path, f"queues:\n  ab{char}c: 1\n")
    assert line.startswith("2:5: not YAML: ")


def test_a_giant_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "floor.yaml"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    assert problems_of(path) == [f" is larger than {MAX_FILE_BYTES // 1024} KiB, the most that is read"]


def make_folder(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_link_to_zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (make_folder, " is not a plain file"),
        (make_pipe, " is not a plain file"),
        (make_link_to_zero, " is not a plain file"),
        (make_link_to_itself, " cannot be read: Too many levels of symbolic links"),
    ],
)
def test_what_is_no_file(make: Callable[[Path], None], line: str, tmp_path: Path) -> None:
    path = tmp_path / "floor.yaml"
    make(path)
    assert problems_of(path) == [line]
    with pytest.raises(ProblemsError):
        load_settings(path, {})


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    assert problems_of(tmp_path / "none.yaml") == [
        " does not exist; write one, or let `acd init DIRECTORY` write samples, and name it in acd.toml: [floor] file"
    ]


def test_messages_do_not_obey_escape_sequences(tmp_path: Path) -> None:
    lines = said(tmp_path, 'queues: {"\\e[2J": {}}\nagents: {x: {number: "\\a\\u202e1", phones: ["\\r\\n"]}}\n')
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


# --- anything at all ------------------------------------------------------------------------------------------------

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["sales", "queue:sales", "queue:b", "PJSIP/1", "20s", "hangup", "dialplan:a,b,1", "music:x", "1"]),
    st.sampled_from(["nl >= 5", "not (nl", "call.x == 'a'", "voicemail", "message:a", "08:00-12:00", "closed", "UTC"]),
    st.sampled_from(["ratio", "weighted", "100..300", "2026-01-01", "off"]),
)
keys = st.one_of(
    st.text(max_size=6),
    st.sampled_from((*TOP_KEYS, *QUEUE_KEYS, *AGENT_KEYS, *ENTRY_KEYS, "sales", "b", "<<")),
    st.sampled_from((*CALLER_KEYS, *HOURS_KEYS, *STAGE_KEYS, *SKILL_KEYS, *WEIGHT_KEYS)),
    st.sampled_from(["last_agent", "call.x", "mon-fri", "sun", "2026-01-01", "100..200", "nl"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=6)),
    max_leaves=30,
)


def loads_or_says_why(text: str) -> None:
    try:
        loaded = parse_floor(text, Problems("floor.yaml"))
    except ConfigurationError as error:
        problems = error.problems
    else:
        assert len(loaded.definition.revision) == 12
        return
    assert problems
    assert all(problem.startswith("floor.yaml") and problem.isprintable() for problem in problems)


@given(values)
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_tree_of_values(value: object) -> None:
    loads_or_says_why(yaml.safe_dump(value, allow_unicode=True))


@given(
    st.fixed_dictionaries(
        {"queues": st.dictionaries(st.sampled_from(["sales", "b"]), values)},
        optional={
            "agents": st.dictionaries(keys, values),
            "skills": values,
            "entry_points": values,
            "fallback": values,
            "hours": st.dictionaries(st.sampled_from(["sales", "b"]), values),
            "callers": values,
            "breaker": values,
            "call_selection": values,
            "voicemail": values,
        },
    )
)
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_values_in_the_right_places(value: object) -> None:
    loads_or_says_why(yaml.safe_dump(value, allow_unicode=True))


needs = st.lists(
    st.sampled_from(["nl >= 5", "en", "(", ")", "and", "or", "not", "call.x == 3", "skill(call.x) > 7"]), max_size=9
).map(" ".join)
stages = st.lists(st.fixed_dictionaries({"need": needs}, optional={"after_s": st.integers(0, 99)}), max_size=4)
ways = st.sampled_from(["queue:a", "queue:b", "queue:c", "hangup", "callback"])
places = st.sampled_from([key for key in QUEUE_KEYS if key.startswith("on_") or key == "overflow"])
floors = st.fixed_dictionaries(
    {
        "skills": st.just(["nl", "en"]),
        "queues": st.dictionaries(
            st.sampled_from("abc"), st.one_of(st.dictionaries(places, ways), st.fixed_dictionaries({"stages": stages}))
        ),
        "agents": st.dictionaries(
            st.sampled_from("xy"),
            st.fixed_dictionaries(
                {
                    "number": st.integers(1, 3),
                    "phones": st.sampled_from([["PJSIP/1"], ["PJSIP/2"]]),
                    "queues": st.dictionaries(st.sampled_from("abc"), st.integers(-1, 1)),
                    "skills": st.dictionaries(st.sampled_from(["nl", "en"]), st.integers(0, 9)),
                }
            ),
        ),
    }
)


@given(floors)
@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_floor_of_right_parts(value: object) -> None:
    loads_or_says_why(yaml.safe_dump(value, allow_unicode=True))


@given(st.text(alphabet=st.sampled_from("ab:,-[]{}&*!|>'\"%@`#?<~= \n\t\\0x"), max_size=80))
@settings(max_examples=1_000, deadline=None)
def test_any_text_of_yamls_own_characters(text: str) -> None:
    loads_or_says_why(text)


@given(st.binary(max_size=200))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(raw)
    with pytest.raises(ConfigurationError) as caught:
        load_floor(path)
    assert caught.value.problems
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path, {})
    assert caught.value.problems
