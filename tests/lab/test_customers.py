"""Customers of the lab behind a real Asterisk's trunk, and the command that plays them."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from acd.domain import outbound as out
from acd.domain.errors import ConfigurationError, LabError
from acd.lab.commands import LabState, lab
from acd.lab.customer_commands import customers
from acd.lab.customer_words import Chooser, parse_customer
from acd.lab.customers import Customers, read_log
from outboundkit import station

MIX = {
    "answer-after:uniform(1.2,1.8)+hello+talk:uniform(0.5,1)": 5.0,
    "busy-after:uniform(0.2,1)": 2.0,
    "congestion": 1.0,
    "never": 2.0,
}
RUBBISH = (
    *(b"", b"\x00", b"INVITE", b"INVITE x SIP/2.0\r\n\r\n", b"SIP/2.0", b"CANCEL x\r\n\r\n", b"ACK x\r\n\r\n"),
    b"SIP/2.0 200 OK\r\nCSeq: 1 BYE\r\n\r\n",
    b"INVITE sip: SIP/2.0\r\nCall-ID: 1\r\nTo: \r\nFrom: \r\n\r\n",
)


async def test_two_hundred_at_once_each_as_the_seed_says(tmp_path: Path) -> None:
    def chooser() -> Chooser:
        return Chooser({parse_customer(text): weight for text, weight in MIX.items()}, seed=5)

    log = io.StringIO()
    async with station(tmp_path, chooser=chooser(), log=log) as at:
        people, again = at.customers, chooser()
        at.sink.decide = lambda question: out.PlayMessage("tt-weasels")
        attempts = {f"49{index:05d}": at.place(f"49{index:05d}", ring_s=4.0) for index in range(200)}
        ends = {number: await at.sink.over(attempt) for number, attempt in attempts.items()}
        await people.until(lambda: all(call.ended for call in people.calls))
        assert people.most_at_once > 150
        for call in people.calls:
            meant = again.reaction(call.number)
            assert call.behaviour == str(meant.behaviour)
            assert ends[call.number].answered is meant.behaviour.answers
            if meant.behaviour.answers:
                assert abs(call.answered_at - call.called_at - meant.after_s) < 0.5
                # Who hangs up at once may have heard nothing yet, where two hundred start to play at once
                assert call.heard_at is not None or call.ended_at - call.answered_at < 2.0
                assert (call.ended, call.by) == ("answered", "customer")
        counted = Counter(call.ended for call in people.calls)
        assert counted == {kind: people.counts[kind] for kind in counted}
        assert counted["cancelled"] == sum("never" in call.behaviour for call in people.calls)
        (tmp_path / "log").write_text(log.getvalue())
        assert Counter(map(str, read_log(tmp_path / "log"))) == Counter(map(str, people.calls))


async def test_a_port_that_is_taken() -> None:
    chooser = Chooser({parse_customer("busy"): 1.0})
    first = await Customers.open(chooser)
    with pytest.raises(LabError, match=str(first.port)):
        await Customers.open(chooser, first.port)
    first.close()


async def test_what_is_no_sip_harms_nobody() -> None:
    people = await Customers.open(Chooser({parse_customer("answer"): 1.0}))
    loop = asyncio.get_running_loop()
    got: asyncio.Queue[bytes] = asyncio.Queue()

    class Peer(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            got.put_nowait(data)

    transport, _ = await loop.create_datagram_endpoint(Peer, remote_addr=("127.0.0.1", people.port))
    for rubbish in RUBBISH:
        transport.sendto(rubbish)
    transport.sendto(b"OPTIONS sip:x SIP/2.0\r\nCall-ID: 2\r\nVia: v\r\nTo: <sip:x>\r\nCSeq: 1 OPTIONS\r\n\r\n")
    async with asyncio.timeout(10):
        while b"1 OPTIONS" not in (answer := await got.get()):
            pass
    assert answer.startswith(b"SIP/2.0 200 OK\r\n")
    transport.close()
    people.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--behaviour", "busi"], "busi"),
        (["--behaviour", "busy=x"], "weight"),
        (["--number", "busy"], "NUMBER=BEHAVIOUR"),
        (["--number", "4*9=busy"], "NUMBER=BEHAVIOUR"),
        (["--number", "49=busy", "--number", "49=never"], "twice"),
        (["--behaviour", "answer+machine:/none.wav"], "no file"),
        ([], "no lab in"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path: Path, arguments: list[str], said: str) -> None:
    told = CliRunner().invoke(customers, ["--dir", str(tmp_path), "--for", "0.01", *arguments])
    assert told.exit_code != 0
    assert said in told.output + str(told.exception)
    assert isinstance(told.exception, SystemExit | ConfigurationError | LabError)


async def test_the_command_with_a_lab(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        told = CliRunner().invoke(lab, [words[0], "--dir", str(tmp_path), *words[1:]], catch_exceptions=False)
        assert told.exit_code == 0, told.output
        return told.output

    await asyncio.to_thread(run, "start", "--phones", "0")
    try:
        state = LabState.load(tmp_path)
        assert state is not None
        assert f"127.0.0.1:{state.customers}" in run("status")
        program = "from acd.lab.customer_commands import customers; customers()"
        log = tmp_path / "calls.jsonl"
        arguments = ["--dir", str(tmp_path), "--behaviour", "never", "--number", "4930*=answer+talk:0.2", "--json"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, *arguments, "--log", str(log)), stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(60):
            while not read_log(log):
                await asyncio.to_thread(run, "cli", "channel originate PJSIP/49301@carrier application Wait 5")
        process.terminate()
        out_text, _ = await process.communicate()
        told = json.loads(out_text)
        assert told["called"] >= 1
        assert told["outcomes"]["answered"] >= 1
        assert read_log(log)[0].number == "49301"
    finally:
        await asyncio.to_thread(run, "stop")
