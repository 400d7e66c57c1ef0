"""The FastAGI server and its sessions, against connections that behave well, badly or not at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agi_fakes import AgiCall, header

from acd.asterisk.agi.request import AgiClosedError, AgiRequest, AgiTimeoutError, Ending
from acd.asterisk.agi.server import FastAgiServer
from acd.domain.errors import AsteriskError, MisuseError

Serve = Callable[..., Awaitable[tuple[AgiCall, asyncio.Future[Any]]]]


@pytest.fixture
async def serve(agi: FastAgiServer) -> Serve:
    """Runs a handler against a fresh connection: returns Asterisk's side, and the handler's outcome as a future."""

    async def run(handler: Callable[[AgiRequest], Awaitable[Any]], *, first: bytes = b"") -> Any:
        outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def wrapped(request: AgiRequest) -> None:
            try:
                outcome.set_result(await handler(request))
            except Exception as error:
                outcome.set_result(error)
                raise

        agi.add_route("x", wrapped)
        port = await agi.start("127.0.0.1", 0)
        return await AgiCall.open(port, first or header("x")), outcome

    return run


async def done(outcome: asyncio.Future[Any]) -> Any:
    return await asyncio.wait_for(outcome, 10)


async def test_a_request_says_who_calls(agi: FastAgiServer, serve: Serve) -> None:
    async def handler(request: AgiRequest) -> AgiRequest:
        return request

    more = {"agi_arg_1": "one", "agi_arg_2": "two: 2", "agi_accountcode": ""}
    call, outcome = await serve(handler, first=header("/x/?did=800&name=Zo%C3%AB&name=Zoe&empty=", **more))
    request = await done(outcome)
    assert request.path == "x"
    assert request.query == {"did": "800", "name": "Zoe", "empty": ""}
    assert request.args == ["one", "two: 2"]
    assert (request.uniqueid, request.channel) == ("1795281218.26", "PJSIP/trunk-00000001")
    assert (request.callerid, request.calleridname, request.dnid) == ("+33123456789", "Zoë", "800")
    assert (request.context, request.extension, request.language) == ("acd-inbound", "800", "en")
    assert request.remote == "127.0.0.1"
    assert request.variables["agi_accountcode"] == ""
    assert await call.ended() == b""
    assert agi.counters.sessions == 1


async def test_header_in_crumbs_and_not_utf8(serve: Serve) -> None:
    async def handler(request: AgiRequest) -> str:
        return request.calleridname

    wire = header("x").replace("Zoë".encode(), b"Zo\xeb")
    call, outcome = await serve(handler, first=wire[:1])
    for at in range(1, len(wire)):
        call.raw(wire[at : at + 1])
    assert await done(outcome) == "Zo�"


async def test_commands_are_quoted_and_replies_kept(serve: Serve) -> None:
    async def handler(request: AgiRequest) -> list[Any]:
        return [
            await request.command("ANSWER"),
            await request.command("SET VARIABLE", "a b", 'say "hi" \\ there'),
            await request.command("STREAM FILE", "beep", "0123"),
            await request.command("GET DATA", "beep"),
            await request.get_variable("present"),
            await request.get_variable("empty"),
            await request.get_variable("absent"),
        ]

    call, outcome = await serve(handler)
    assert await call.answer("200 result=0") == "ANSWER"
    assert await call.answer("100 Trying...\n200 result=1") == r'SET VARIABLE "a b" "say \"hi\" \\ there"'
    assert await call.answer("200 result=49 endpos=8000") == 'STREAM FILE "beep" "0123"'
    await call.answer("200 result=12 (timeout)")
    assert await call.answer("200 result=1 (a) endpos=5)") == 'GET VARIABLE "present"'
    await call.answer("200 result=1 ()")
    await call.answer("200 result=0")
    answer, setting, stream, data, present, empty, absent = await done(outcome)
    assert (answer.code, answer.result, answer.value, answer.endpos) == (200, "0", None, None)
    assert setting.result == "1"
    assert (stream.result, stream.endpos) == ("49", 8000)
    assert (data.result, data.value) == ("12", "timeout")
    assert (present, empty, absent) == ("a) endpos=5", "", None)


async def test_a_value_with_line_feeds_is_one_reply(serve: Serve) -> None:
    async def handler(request: AgiRequest) -> list[Any]:
        return [await request.get_variable("x"), await request.get_variable("y")]

    call, outcome = await serve(handler)
    await call.answer("200 result=1 (one\ntwo\n\nthree)")
    await call.answer("200 result=1 (plain)")
    assert await done(outcome) == ["one\ntwo\n\nthree", "plain"]


async def test_lines_that_come_unasked_are_no_replies(agi: FastAgiServer, serve: Serve) -> None:
    """Also where a hostile value makes two lines of one reply, each of which looks like a whole one."""
    told = asyncio.Event()

    async def handler(request: AgiRequest) -> list[Any]:
        first = await request.get_variable("hostile")
        await told.wait()
        while not agi.counters.stray_lines:  # noqa: ASYNC110 - a count, which tells nobody
            await asyncio.sleep(0)
        return [first, await request.get_variable("x")]

    call, outcome = await serve(handler)
    await call.answer("200 result=1 (a)")
    call.raw(b"200 result=1 (spoof)\n")
    told.set()
    await call.answer("200 result=1 (true)")
    assert await done(outcome) == ["a", "true"]
    assert agi.counters.stray_lines == 1


async def test_what_cannot_be_sent_is_misuse(serve: Serve) -> None:
    async def handler(request: AgiRequest) -> list[str]:
        said = []
        for parts in (("SET VARIABLE", "a", "b\nHANGUP"), ("NOOP\nHANGUP",), ("failure: x",), ("NOOP", "x" * 8001)):
            with pytest.raises(MisuseError) as refused:
                await request.command(*parts)
            said.append(str(refused.value))
        for values in ({"a": "b\r"}, {"a,b": "1"}, {"": "1"}, {"1a": "x"}, {"a": "x" * 8001}, {"F(a\n)": "1"}):
            with pytest.raises(MisuseError):
                await request.set_variables({"fine": "1"} | values)
        await request.command("NOOP")
        return said

    call, outcome = await serve(handler)
    assert await call.answer() == "NOOP", "nothing of what was refused has been sent"
    assert "CR, LF or NUL" in (await done(outcome))[0]


async def test_variables_go_together_in_order_and_are_read_back_once(serve: Serve) -> None:
    async def handler(request: AgiRequest) -> None:
        for _ in range(2):
            await request.set_variables({"acd_call": "c1", "acd_name": 'Zoë, "x" (\\', "__acd_ok": "1"})
        await request.set_variables({"CALLERID(name)": "Eve", "a": "$x", "b": ""})
        await request.set_variables({"lonely": "1"})
        await request.set_variables({})

    call, outcome = await serve(handler)
    together = r'SET VARIABLE "ARRAY(acd_call,acd_name,__acd_ok)" "c1,Zoë\\, \\\"x\\\" \\(\\\\,1"'
    assert await call.answer() == together
    assert await call.answer("200 result=1 (1)") == 'GET VARIABLE "acd_ok"'
    assert await call.answer() == together
    assert await call.answer() == 'SET VARIABLE "CALLERID(name)" "Eve"'
    assert await call.answer() == 'SET VARIABLE "ARRAY(a,b)" "$x,"'
    assert await call.answer() == 'SET VARIABLE "lonely" "1"'
    assert await done(outcome) is None


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"200 result=1\nHANGUP\n", "None"),
        (b"520 Invalid command syntax.  Proper usage not available.\n", "did not set a, acd_next: 520"),
        (b"", "ended the AGI session"),
    ],
)
async def test_the_last_word_takes_the_sessions_end_with_it(agi: FastAgiServer, reply: bytes, said: str) -> None:
    """Once ARRAY() is known to work. Asterisk sees the end behind the command, before it has replied."""
    outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def handler(request: AgiRequest) -> Ending:
        def told(error: AsteriskError | None) -> None:
            request.abort()
            outcome.set_result(str(error))

        request.set_variables_last({"a": "1", "acd_next": "acd-hold,s,1"}, told)
        return Ending.LATER

    agi.add_route("last", handler)
    port = await agi.start("127.0.0.1", 0)
    agi._trust.note("127.0.0.1", True, asyncio.get_running_loop().time())
    call = await AgiCall.open(port, header("last"))
    everything = await asyncio.wait_for(call.reader.read(), 10)
    assert everything == b'SET VARIABLE "ARRAY(a,acd_next)" "1,acd-hold\\\\,s\\\\,1"\n'
    assert not outcome.done(), "the reply is awaited all the same"
    call.raw(reply)
    call.eof()
    assert said in await done(outcome)
    call.writer.close()


async def test_the_last_word_stays_open_while_it_must_be_read_back(agi: FastAgiServer) -> None:
    outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def handler(request: AgiRequest) -> Ending:
        request.set_variables_last({"a": "1", "b": "2"}, outcome.set_result)
        return Ending.LATER

    agi.add_route("last", handler)
    port = await agi.start("127.0.0.1", 0)
    call = await AgiCall.open(port, header("last"))
    assert (await call.answer()).startswith('SET VARIABLE "ARRAY(a,b)"')
    assert await call.answer("200 result=1 (2)") == 'GET VARIABLE "b"'
    assert await done(outcome) is None
    call.writer.close()


async def test_without_the_array_function_mset_does_it(agi: FastAgiServer, serve: Serve) -> None:
    async def handler(request: AgiRequest) -> None:
        await request.set_variables({"a": "1", "b": "$2", "c": "x,y", "d": "4"})
        await request.set_variables({"e": "5", "f": "6"})

    call, outcome = await serve(handler)
    assert (await call.answer()).startswith('SET VARIABLE "ARRAY(a,b,c,d)"')
    assert await call.answer("200 result=0") == 'GET VARIABLE "d"'
    assert await call.answer() == 'SET VARIABLE "a" "1"'
    assert await call.answer() == 'SET VARIABLE "b" "$2"', "MSet would see it expanded where AGIEXECFULL is set"
    assert await call.answer("200 result=0") == r'EXEC "MSet" "c=x\\,y,d=4"'
    assert await call.answer("200 result=0") == 'EXEC "MSet" "e=5,f=6"'
    assert await done(outcome) is None


async def test_trust_in_the_array_function_is_renewed(agi: FastAgiServer) -> None:
    agi._trust.note("h", True, 100.0)
    assert agi._trust.has_array("h", 159.0) is True
    assert agi._trust.has_array("h", 160.0) is None
    assert agi._trust.has_array("other", 100.0) is None
    agi._trust.note("h", False, 200.0)
    assert agi._trust.has_array("h", 201.0) is False
    for number in range(1000):
        agi._trust.note(str(number), True, 0.0)
    assert len(agi._trust._found) <= 64


async def test_many_and_long_variables_are_split_into_lines_asterisk_reads(serve: Serve) -> None:
    values = {f"v{number}": '",' * (10 * number) for number in range(1, 100)}

    async def handler(request: AgiRequest) -> None:
        await request.set_variables(values)

    call, outcome = await serve(handler)
    names: list[str] = []
    while len(names) < len(values):
        line = await call.command()
        if line.startswith("GET VARIABLE"):
            call.raw(f"200 result=1 ({values[names[-1]]})\n".encode())
            continue
        assert len(line.encode()) <= 8000
        names += line.split('"')[1].removeprefix("ARRAY(").removesuffix(")").split(",")
        call.raw(b"200 result=1\n")
    assert names == list(values)
    assert await done(outcome) is None


async def test_a_refused_assignment_is_an_error(serve: Serve) -> None:
    async def handler(request: AgiRequest) -> None:
        await request.set_variables({"a": "1"})

    call, outcome = await serve(handler)
    await call.answer("520 Invalid command syntax.  Proper usage not available.")
    assert "did not set a: 520" in str(await done(outcome))


async def test_a_dead_channel_and_a_hang_up_are_seen(agi: FastAgiServer, serve: Serve) -> None:
    async def handler(request: AgiRequest) -> list[Any]:
        seen = [request.hung_up, (await request.command("STREAM FILE", "beep", "")).code, request.hung_up]
        try:
            await request.command("NOOP")
        except AgiClosedError as error:
            seen += [request.hung_up, request.closed, str(error)]
        return seen

    call, outcome = await serve(handler)
    await call.answer("511 Command Not Permitted on a dead channel or intercept routine")
    await call.command()
    call.raw(b"HANGUP\nHANGUP\n")
    call.eof()
    seen = await done(outcome)
    assert seen[:5] == [False, 511, True, True, True]
    assert "before NOOP was done" in seen[5]


async def test_hang_up_is_known_without_a_command(agi: FastAgiServer, serve: Serve) -> None:
    entered = asyncio.Event()

    async def handler(request: AgiRequest) -> bool:
        entered.set()
        await asyncio.wait_for(request.over(), 5)
        return request.hung_up

    call, outcome = await serve(handler)
    await entered.wait()
    call.raw(b"HANGUP\n")
    assert await done(outcome) is True
    assert agi.counters.hangups == 1


async def test_a_command_without_reply_ends_the_session(agi: FastAgiServer, serve: Serve) -> None:
    """Otherwise the late reply would be taken for the next command's."""

    async def handler(request: AgiRequest) -> list[Exception]:
        errors: list[Exception] = []
        for _ in range(2):
            try:
                await request.command("NOOP", timeout_s=0.02)
            except AsteriskError as error:
                errors.append(error)
        return errors

    call, outcome = await serve(handler)
    await call.command()
    assert [type(error) for error in await done(outcome)] == [AgiTimeoutError, AgiClosedError]
    await call.ended()
    assert agi.counters.command_timeouts == 1


async def test_a_handlers_own_time_limit_ends_the_session_too(serve: Serve) -> None:
    async def handler(request: AgiRequest) -> bool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await request.command("NOOP")
        return request.closed

    _, outcome = await serve(handler)
    assert await done(outcome) is True


async def test_one_command_at_a_time(serve: Serve) -> None:
    async def handler(request: AgiRequest) -> list[Any]:
        return await asyncio.gather(request.command("NOOP"), request.command("NOOP"), return_exceptions=True)

    call, outcome = await serve(handler)
    await call.answer("200 result=0")
    first, second = await done(outcome)
    assert first.result == "0"
    assert isinstance(second, MisuseError)


@pytest.mark.parametrize("size", [8192, 1_000_000])
async def test_a_line_too_long_ends_the_session(agi: FastAgiServer, serve: Serve, size: int) -> None:
    async def handler(request: AgiRequest) -> None:
        await request.command("GET FULL VARIABLE", "${x}")

    call, outcome = await serve(handler)
    await call.command()
    call.raw(b"200 result=1 (" + b"x" * size + b")\n")
    assert isinstance(await done(outcome), AgiClosedError)
    assert agi.counters.malformed == 1


async def test_a_flood_of_lines_ends_the_session(agi: FastAgiServer, serve: Serve) -> None:
    async def handler(request: AgiRequest) -> int:
        await asyncio.wait_for(request.over(), 5)
        return agi.counters.stray_lines

    call, outcome = await serve(handler)
    call.raw(b"x\n" * 10_000)
    assert await done(outcome) == 513
    assert agi.counters.malformed == 1


BAD_BEGINNINGS = {
    "tls hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\n",
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "one line of a megabyte": b"x" * 1_000_000,
    "one header of a megabyte": b"agi_network: yes\nagi_x: " + b"x" * 1_000_000,
    "two hundred headers": b"".join(b"agi_arg_%d: x\n" % number for number in range(200)),
    "a header line over 8 KiB": b"agi_network: yes\nagi_x: " + b"x" * 9000 + b"\n\n",
    "headers over 64 KiB": b"".join(b"agi_arg_%d: %s\n" % (number, b"x" * 4000) for number in range(50)),
    "not utf-8": b"\xff\xfe\xfd\n\n",
    "an empty line": b"\n\n",
    "a line that is none of AGI's": b"agi_network: yes\nEvil: 1\n\n",
}


@pytest.mark.parametrize("what", BAD_BEGINNINGS)
async def test_what_is_not_agi_is_closed_counted_and_logged_once(
    agi: FastAgiServer, serve: Serve, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: AgiRequest) -> str:
        return (await request.command("NOOP")).result

    caplog.set_level(logging.INFO)
    good, outcome = await serve(handler)
    port = good.writer.get_extra_info("peername")[1]
    for _ in range(5):
        await (await AgiCall.open(port, BAD_BEGINNINGS[what])).ended()
    await good.answer("200 result=7")
    assert await done(outcome) == "7"
    assert agi.counters.malformed == 5
    assert len([record for record in caplog.records if "does not speak AGI" in record.getMessage()]) == 1


async def test_half_a_header_times_out_or_ends(agi: FastAgiServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = await agi.start("127.0.0.1", 0)
    half = header("x")[:100]
    waiting = [await AgiCall.open(port, half) for _ in range(3)]
    for _ in range(3):
        leaving = await AgiCall.open(port, half)
        leaving.eof()
        await leaving.ended()
    for call in waiting:
        await call.ended()
    await agi.close(grace_s=5)
    assert (agi.counters.probes, agi.counters.header_timeouts) == (3, 3)
    assert len(caplog.records) == 2


async def test_an_unknown_path_is_closed_politely(agi: FastAgiServer, caplog: pytest.LogCaptureFixture) -> None:
    port = await agi.start("127.0.0.1", 0)
    for script in ("nowhere", "x\x1b[31m", None):
        assert await (await AgiCall.open(port, header(script))).ended() == b""
    assert agi.counters.unknown_paths == 3
    assert len(caplog.records) == 1
    assert "'nowhere', which has no handler" in caplog.text


async def test_what_follows_a_header_that_is_turned_away_is_not_heard(agi: FastAgiServer) -> None:
    port = await agi.start("127.0.0.1", 0)
    assert await (await AgiCall.open(port, header("nowhere") + b"HANGUP\nmore\n")).ended() == b""
    assert (agi.counters.unknown_paths, agi.counters.hangups, agi.counters.stray_lines) == (1, 0, 0)


async def test_a_handler_that_fails_ends_its_session_alone(
    agi: FastAgiServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: AgiRequest) -> None:
        await request.command("NOOP")
        raise ValueError("broken handler")

    agi.add_route("broken", broken)
    port = await agi.start("127.0.0.1", 0)
    calls = [await AgiCall.open(port, header("broken")) for _ in range(3)]
    for call in calls:
        await call.answer()
        assert await call.ended() == b""
    assert agi.counters.handler_errors == 3
    said = [record for record in caplog.records if "broken handler" in record.getMessage()]
    assert len(said) == 1
    assert "'broken' of 'PJSIP/trunk-00000001'" in said[0].getMessage()
    assert said[0].exc_info


async def test_a_handler_that_takes_too_long_is_stopped(caplog: pytest.LogCaptureFixture) -> None:
    server = FastAgiServer(handler_timeout_s=0.05)
    freed = asyncio.Event()

    async def slow(request: AgiRequest) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            freed.set()

    async def own_timeout(request: AgiRequest) -> None:
        raise TimeoutError("of the handler's own making")

    server.add_route("slow", slow)
    server.add_route("own", own_timeout)
    port = await server.start("127.0.0.1", 0)
    for path in ("slow", "own"):
        await (await AgiCall.open(port, header(path))).ended()
    assert freed.is_set()
    assert (server.counters.handler_timeouts, server.counters.handler_errors) == (1, 1)
    assert "took over 0.05 s" in caplog.text
    await server.close()


async def test_connections_over_the_cap_are_closed_at_once(caplog: pytest.LogCaptureFixture) -> None:
    server = FastAgiServer(max_connections=3)
    leave = asyncio.Event()
    server.add_route("x", lambda request: leave.wait())
    port = await server.start("127.0.0.1", 0)
    inside = [await AgiCall.open(port, header("x")) for _ in range(3)]
    for _ in range(4):
        assert await (await AgiCall.open(port, b"")).ended() == b""
    assert server.counters.refused == 4
    assert server.sessions == 3
    assert len([record for record in caplog.records if "turned away" in record.getMessage()]) == 1
    leave.set()
    for call in inside:
        await call.ended()
    await server.close(grace_s=5)
    assert server.counters.sessions == 3


async def test_close_waits_for_sessions_and_then_ends_them(agi: FastAgiServer) -> None:
    entered, leave, cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def finishing(request: AgiRequest) -> None:
        entered.set()
        await leave.wait()
        await request.command("NOOP")

    async def stubborn(request: AgiRequest) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    agi.add_route("finishing", finishing)
    agi.add_route("stubborn", stubborn)
    port = await agi.start("127.0.0.1", 0)
    first, second = await AgiCall.open(port, header("finishing")), await AgiCall.open(port, header("stubborn"))
    await entered.wait()
    closing = asyncio.ensure_future(agi.close(grace_s=0.5))
    leave.set()
    assert await first.answer() == "NOOP"
    await first.ended()
    await second.ended()
    await closing
    assert cancelled.is_set()
    assert agi.sessions == agi.counters.handler_timeouts == 0
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)
    await agi.close()


async def test_routes(agi: FastAgiServer) -> None:
    async def handler(request: AgiRequest) -> None: ...

    agi.add_route("/a/b/", handler)
    for path in ("a/b", "/a/b", "a/b/"):
        with pytest.raises(MisuseError, match="exists already"):
            agi.add_route(path, handler)
    with pytest.raises(MisuseError, match="query"):
        agi.add_route("a?b", handler)
    with pytest.raises(MisuseError):
        agi.add_route("c", "not callable")  # type: ignore[arg-type]
    agi.del_route("a/b/")
    with pytest.raises(MisuseError, match="no AGI route"):
        agi.del_route("a/b")
    await agi.start("127.0.0.1", 0)
    with pytest.raises(MisuseError, match="started already"):
        await agi.start("127.0.0.1", 0)


async def test_a_thousand_calls_in_bursts(agi: FastAgiServer) -> None:
    """Every session gets its own replies, and nothing is left behind."""
    seen: list[tuple[str, str | None]] = []

    async def handler(request: AgiRequest) -> None:
        seen.append((request.query["n"], await request.get_variable("n")))

    agi.add_route("x", handler)
    port = await agi.start("127.0.0.1", 0)

    async def one(number: int) -> None:
        call = await AgiCall.open(port, header(f"x?n={number}"))
        await call.answer(f"200 result=1 ({number})")
        await call.ended()

    for start in range(0, 1000, 100):
        await asyncio.gather(*(one(number) for number in range(start, start + 100)))
    await agi.close(grace_s=5)
    assert len(seen) == 1000
    assert all(asked == told for asked, told in seen)
    assert agi.sessions == 0
