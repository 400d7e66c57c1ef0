"""AGI text without sockets: quoting undone the way Asterisk does it, replies, and garbage on the wire."""

from __future__ import annotations

import asyncio

import pytest
from agi_fakes import AgiCall, header
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acd.asterisk.agi.assignments import Way, check_assignments, plan_assignments
from acd.asterisk.agi.commands import AgiReply, continues, encode_command, parse_reply
from acd.asterisk.agi.request import AgiRequest
from acd.asterisk.agi.server import FastAgiServer
from acd.domain.errors import MisuseError

VALUE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20) | st.text(
    st.sampled_from('",()[]\\ =$a'), max_size=20
)
NAME = st.builds(
    "{}{}{}".format, st.sampled_from(["", "_", "__"]), st.sampled_from("abc"), st.text("xyz09_", max_size=5)
)


def words(line: bytes) -> list[str]:
    """What Asterisk's ``parse_args`` makes of a line: words at white space, quotes group, a backslash is literal."""
    found: list[str] = []
    quoted = escaped = False
    between = True
    for character in line.decode().rstrip("\n"):
        if character == '"' and not escaped:
            quoted = not quoted
            if quoted and between:
                found.append("")
                between = False
        elif character in " \t" and not quoted and not escaped:
            between = True
        elif character == "\\" and not escaped:
            escaped = True
            continue
        else:
            if between:
                found.append("")
                between = False
            found[-1] += character
        escaped = False
    return found


def separate(text: str, delimiter: str = ",") -> list[str]:
    """What ``__ast_app_separate_args`` makes of an argument, quotes and backslashes removed."""
    parts, part = [], ""
    parentheses = brackets = 0
    quoted = escaped = False
    for character in text:
        if escaped:
            part += character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == delimiter and not (quoted or parentheses or brackets):
            parts.append(part)
            part = ""
        else:
            parentheses = max(0, parentheses + (character == "(") - (character == ")"))
            brackets = max(0, brackets + (character == "[") - (character == "]"))
            part += character
    return [*parts, part]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(VALUE, max_size=5))
def test_arguments_arrive_as_they_were(arguments: list[str]) -> None:
    assert words(encode_command("SET VARIABLE", *arguments)) == ["SET", "VARIABLE", *arguments]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAME, VALUE, max_size=12), st.sampled_from([Way.ARRAY, Way.MSET]))
def test_variables_arrive_as_they_were_and_in_order(values: dict[str, str], way: Way) -> None:
    arrived: list[tuple[str, str]] = []
    for step in plan_assignments(values, way):
        match words(step.wire):
            case ["SET", "VARIABLE", name, text] if name.startswith("ARRAY("):
                arrived += zip(name[len("ARRAY(") : -1].split(","), separate(text), strict=True)
            case ["SET", "VARIABLE", name, text]:
                arrived.append((name, text))
            case ["EXEC", "MSet", text]:
                assert "$" not in text
                for pair in separate(text):
                    name, _, value = pair.partition("=")
                    arrived.append((name, value))
    assert arrived == list(values.items())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAME, st.text(st.sampled_from('"\\,aé'), max_size=1900), max_size=12))
def test_no_command_is_longer_than_asterisk_reads(values: dict[str, str]) -> None:
    try:
        steps = list(plan_assignments(values, Way.ARRAY))
    except MisuseError:  # a value is too long even alone
        with pytest.raises(MisuseError, match="bytes; the most is"):
            check_assignments(values)
        return
    assert all(len(step.wire) <= 8001 for step in steps)


@pytest.mark.parametrize("way", [Way.ARRAY, Way.MSET])
def test_no_command_sets_more_than_asterisk_looks_at(way: Way) -> None:
    steps = list(plan_assignments({f"v{number}": "" for number in range(500)}, way))
    assert sum(len(step.part) for step in steps) == 500
    assert max(len(step.part) for step in steps) < 99


REPLIES = [
    ("200 result=1", AgiReply(200, "1", None, None, "result=1")),
    ("200 result=-1", AgiReply(200, "-1", None, None, "result=-1")),
    ("200 result= (timeout)", AgiReply(200, "", "timeout", None, "result= (timeout)")),
    ("200 result=1 (a (b) c)", AgiReply(200, "1", "a (b) c", None, "result=1 (a (b) c)")),
    ("200 result=0 endpos=960", AgiReply(200, "0", None, 960, "result=0 endpos=960")),
    ("200 result=-1 endpos=-1", AgiReply(200, "-1", None, -1, "result=-1 endpos=-1")),
    ("200 result=0 (hangup) endpos=7", AgiReply(200, "0", "hangup", 7, "result=0 (hangup) endpos=7")),
    ("510 Invalid or unknown command", AgiReply(510, "", None, None, "Invalid or unknown command")),
    (
        "200 result=1 (speech) endpos=5 results=0",
        AgiReply(200, "1", "speech", 5, "result=1 (speech) endpos=5 results=0"),
    ),
    ("nonsense", None),
    ("", None),
]


@pytest.mark.parametrize(("line", "reply"), REPLIES)
def test_replies(line: str, reply: AgiReply | None) -> None:
    assert parse_reply([line]) == reply


def test_a_reply_of_several_lines() -> None:
    usage = ["520-Invalid command syntax.  Proper usage follows:", "Usage: X", "520 End of proper usage."]
    assert [continues(usage[:count], value_expected=False) for count in (1, 2, 3)] == [True, True, False]
    assert continues(["200 result=1 (one"], value_expected=True)
    assert not continues(["200 result=1 (one"], value_expected=False)
    assert not continues(["200 result=1 (one", "two)"], value_expected=True)
    assert not continues(["200 result=0"], value_expected=True)
    assert not continues(["nonsense"], value_expected=True)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_any_lines_are_a_reply_or_none(lines: list[str]) -> None:
    reply = parse_reply(lines)
    assert reply is None or 0 <= reply.code <= 999
    continues(lines, value_expected=True)


LINE = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"agi_network: yes\n", b"agi_network_script: x\n", b"\n", b"HANGUP\n", b"200 result=1\n", b"520-x\n"]
    ),
)


def test_garbage_on_the_wire_never_escapes_nor_hangs() -> None:
    """One server, many connections of random bytes; a good call in the end gets its answer."""

    async def inside(connections: list[tuple[bool, list[bytes]]]) -> FastAgiServer:
        server = FastAgiServer(header_timeout_s=0.05, command_timeout_s=0.05, handler_timeout_s=1)

        async def handler(request: AgiRequest) -> None:
            for _ in range(3):
                await request.command("NOOP")

        server.add_route("x", handler)
        port = await server.start("127.0.0.1", 0)
        for whole_header, pieces in connections:
            call = await AgiCall.open(port, header("x") if whole_header else b"")
            for piece in pieces:
                call.raw(piece)
            await call.ended()
        good = await AgiCall.open(port, header("x"))
        assert [await good.answer() for _ in range(3)] == ["NOOP"] * 3
        assert await good.ended() == b""
        await server.close(grace_s=5)
        return server

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.tuples(st.booleans(), st.lists(LINE, max_size=8)), max_size=5))
    def check(connections: list[tuple[bool, list[bytes]]]) -> None:
        server = asyncio.run(inside(connections))
        assert server.counters.connections == len(connections) + 1
        assert server.sessions == 0
        assert server.counters.handler_errors <= len(connections), "timeouts of commands, no more"

    check()
