"""Noise and malice on a floor with real calls: none of it stops the service, loses a call or reaches the PBX."""

from __future__ import annotations

import asyncio
import contextlib
import re

import pytest
from sipphone import SipPhone

from acd.lab.behaviours import parse_caller_behaviour
from acd.lab.calls import plan_calls
from callkit import (
    agents,
    caller,
    channels,
    dial,
    finish,
    floor,
    hang_up,
    live,
    phone,
    plan,
    record,
    until,
    until_agent,
    until_idle,
    until_waiting,
)

HEADER = (
    b"agi_network: yes\nagi_network_script: %s\nagi_request: agi://127.0.0.1/inbound\nagi_channel: PJSIP/x-1\n"
    b"agi_uniqueid: %s\nagi_callerid: 1\nagi_calleridname: x\n"
)

GARBAGE = (
    b"",
    b"\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    b"agi_network: yes\n",
    b"agi_network: yes\nagi_calleridname: \xff\xfe\xe9\x80\n\n",
    b"x" * 1_000_000,
    b"agi_calleridname: " + b"y" * 1_000_000 + b"\n\n",
    b"agi_network: yes\n" * 100_000,
    HEADER % (b"inbound", b"1.1") + b"\n",
    HEADER % (b"inbound", b"1.2") + b"agi_arg_1: no-such-node\n\n",
    HEADER % (b"inbound", b"1.3") + b"agi_arg_1: pbx1\nagi_arg_2: nan\nagi_arg_4: a:b:c:d:e:f\nagi_arg_5: 100\n\n",
    HEADER % (b"agent", b"1.4") + b"agi_arg_1: pbx1\nagi_arg_2: explode\n\n",
    HEADER % (b"agent", b"1.5") + b"agi_arg_1: pbx1\nagi_arg_2: logout\n\n",
    HEADER % (b"../../etc/passwd", b"1.6") + b"\n",
)


async def say(port: int, data: bytes, *, until_closed: bool) -> None:
    """Connect, say ``data``, and leave; or stay until the other side leaves."""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(data)
            await writer.drain()
            if until_closed:
                await reader.read()
        finally:
            writer.transport.abort()


async def test_noise_at_the_fastagi_port_amid_calls(make_rig):
    """Every kind of garbage, each from peers that leave at once and from peers that stay; more idle connections than
    the server takes; and a forged caller who does not exist."""
    rig = await make_rig(
        plan(
            [phone(f"100{n}", "answer+talk:0.4") for n in range(6)],
            floor(agents({f"a{n}": f"100{n}" for n in range(6)})),
            serve_env={"ACD_AGI__MAX_CONNECTIONS": "30"},
        )
    )
    await rig.login_all()
    pid = rig.serve.pid
    callers = await dial(rig, *plan_calls("100", 60, parse_caller_behaviour("until-bye")), rate=8)
    for _ in range(3):
        await asyncio.gather(
            *(say(rig.agi_port, data, until_closed=stays) for data in GARBAGE for stays in (False, True)),
            *(say(rig.agi_port, b"agi_network: yes\n", until_closed=True) for _ in range(40)),
        )
    await finish(callers, 90.0)
    await until(rig, "everybody to be free", lambda s: s["agents"]["AVAILABLE"] == 6 and s["phones"] == {"IDLE": 6})
    await until_idle(rig)
    status = await rig.status()
    assert rig.serve.pid == pid
    assert status["drift"] == {}
    counters = status["counters"]
    for name in ("agi_probes", "agi_malformed", "agi_header_timeouts", "agi_refused", "agi_unknown_paths"):
        assert counters[name] > 0, name
    assert counters.get("events_failed", 0) == counters["agi_handler_errors"] == 0
    # All that noise is a few lines of log
    assert len(rig.serve_log().splitlines()) < 150
    await rig.stop_serve()
    rows = rig.rows("SELECT outcome, caller_name FROM calls WHERE linkedid != '1.3'")
    assert [row["outcome"] for row in rows if row["caller_name"] != "x"] == ["answered"] * 60
    # Whoever was made up is known to be nobody, and took no agent's time
    forged = rig.rows("SELECT * FROM calls WHERE channel = '1.3'")
    assert forged
    assert not [row for row in forged if row["answered_at"]]
    assert not rig.rows(
        "SELECT 1 FROM segments WHERE kind = 'talked' AND call IN (SELECT call FROM calls WHERE channel = '1.3')"
    )


NAMES = [
    'Robert"); DROP TABLE calls;--',
    "a,b;c|d&e",
    "${SHELL(touch PWNED)} ${acd_call} $[1+1]",
    "\\\"'`<script>alert(1)</script>",
    "☎ Zoë 😀 Łukasz 中文",
    "Action: Command",
    "%0d%0a%00",
    "\x1b[31mred\x07\x7f",
    "unknown",
]


async def test_hostile_names_and_numbers(make_rig):
    """What callers send arrives in the records as sent, in one harmless line in the log, and nowhere else."""
    rig = await make_rig(
        plan(
            [phone("1001", "answer+talk:0.1")],
            floor(agents({"anna": "1001"}), fallback="queue:main"),
            log_level="debug",
        )
    )
    await rig.login_all()
    names = [*NAMES, "n" * 300]
    await finish(await dial(rig, *(caller(number=f"555{n:02}", name=name) for n, name in enumerate(names))))
    for n, name in enumerate(names):
        call = await record(rig, f"555{n:02}")
        # "unknown" is AGI's word for nobody, and Asterisk keeps 79 bytes of a name
        assert call["caller_name"] == ("" if name == "unknown" else name[:79])
    dids = ["100${EXTEN}", "1&PJSIP/1001", "1'; --", "1(2)[3]", "1|2", "100,s,1", "1,2", "1" * 79]
    for n, did in enumerate(dids):
        await finish(await dial(rig, caller(did, number=f"557{n}")))
        assert (await record(rig, f"557{n}"))["did"] == did
    numbers = ["alice", "+49 (30) 555", "5'--", "${EPOCH}"]
    for number in numbers:
        await finish(await dial(rig, caller(number=number)))
    assert {row["caller_number"] for row in (await rig.api("calls?limit=100"))["calls"]} >= set(numbers)

    await until_idle(rig)
    assert rig.asterisk.running
    assert not list(rig.directory.rglob("PWNED"))
    status = await rig.status()
    assert (status["drift"], status["lost_track"]) == ({}, 0)
    log = rig.serve_log()
    assert all(line.isprintable() or "\t" in line for line in log.split("\n"))
    assert re.search(r"^(Action|Command):", log, re.MULTILINE) is None
    listed = await rig.acd("call", "list", "--limit", "50")
    assert "\x1b" not in listed
    assert "\x07" not in listed


async def test_numbers_with_line_feeds(make_rig):
    """Asterisk does not escape numbers where it speaks to us: a caller could write manager events and AGI headers of his
    own. None of them is believed, and he is served as anybody."""
    rig = await make_rig(
        plan(
            [phone("1001"), phone("1002", "answer+talk:0.2")],
            floor(agents({"anna": "1001", "bob": "1002"}), fallback="queue:main"),
        )
    )
    await rig.agent("anna", "login")
    victim = await dial(rig, caller(number="5551"))
    await until_agent(rig, "anna", "TALKING")
    (call,) = await live(rig)
    channel = call["linkedid"]
    await rig.agent("bob", "login")
    numbers = {
        f"1\r\n\r\nEvent: Hangup\r\nUniqueid: {channel}\r\n": f"1Event: HangupUniqueid: {channel}",
        "2\r\n\r\nEvent: DeviceStateChange\r\nDevice: PJSIP/1002\r\nState: BUSY\r\n": (
            "2Event: DeviceStateChangeDevice: PJSIP/1002State: BUSY"
        ),
        f"3\r\nagi_uniqueid: {channel}\r\nagi_channel: x": f"3agi_uniqueid: {channel}agi_channel: x",
        "4\nagi_arg_1: pbx1\n\n": "4agi_arg_1: pbx1",
        "5\r\nX: y": "5X: y",
        "6\tzoë": "6zoë",
    }
    for number in numbers:
        await finish(await dial(rig, caller(number=number)))
    await finish(await dial(rig, caller("1\r\nagi_arg_1: nobody\r\n\r\n", number="7")))
    assert (await record(rig, "7"))["did"] == "1agi_arg_1: nobody"
    rows = (await rig.api("calls?agent=bob"))["calls"]
    assert sorted(row["caller_number"] for row in rows) == sorted([*numbers.values(), "7"])
    assert {row["outcome"] for row in rows} == {"answered"}
    # The first two were heard before the dialplan could take anything out, and not believed
    status = await rig.status()
    assert [(alarm["kind"], alarm["count"]) for alarm in status["alarms"] if alarm["kind"] != "unknown_did"] == [
        ("event_not_whole", 2)
    ]
    assert [row["call"] for row in await live(rig)] == [call["call"]]
    # Asterisk says so some time after the last call's end
    await until_agent(rig, "bob", "AVAILABLE", phone_state="IDLE")
    assert status["drift"] == {}
    await hang_up(rig, "5551")
    await finish(victim)
    await until_idle(rig)


async def test_a_name_in_no_encoding(make_rig):
    """Bytes that are not UTF-8, and a caller id of a whole manager action, from a phone that says what it likes."""
    rig = await make_rig(plan([phone("1001", "answer")], floor(agents({"anna": "1001"}))))
    await rig.login_all()
    sip = await SipPhone.open("5551", 0, rig.ports.sip)
    try:
        dialog = await sip.call("100", display=b"\xff\xfe Zo\xeb \x80")
        (call,) = await live(rig)
        assert call["caller_number"] == "5551"
        assert "Zo" in call["caller_name"]
        call["caller_name"].encode()
        await until_agent(rig, "anna", "TALKING")
        (row,) = [row for row in channels(rig) if row["context"] == "acd-offer"]
        assert row["caller"] == "5551"
        await hang_up(rig, "5551")
        async with asyncio.timeout(20):
            await dialog.over.wait()
        assert (await record(rig, "5551"))["outcome"] == "answered"
    finally:
        sip.close()
    await until_idle(rig)


@pytest.mark.parametrize("name", ["calls", "looks"])
async def test_a_wrong_secret(make_rig, name):
    """It is said once, what to do as well, and Asterisk is left alone for a minute; calls are held meanwhile."""
    rig = await make_rig(plan([phone("1001", "answer+talk:0.2")], floor(agents({"anna": "1001"}))), serve=False)
    file = rig.directory / f"ami-{name}"
    right = file.read_text()
    file.write_text("wrong-" + right)
    await rig.start_serve(wait=False)
    refused = f"manager user 'acd-{name}' was refused"

    async def said():
        return refused in rig.serve_log()

    await rig.until(said, 20.0, "the refusal to be said", allow_down=True)
    await rig.agent("anna", "login")
    callers = await dial(rig, caller(number="5551"))
    (waiting,) = await until_waiting(rig, 1)
    assert waiting["state"] == "WAITING"
    await until(rig, "the reason to be shown", lambda s: refused in s["nodes"][0]["detail"])
    assert refused in await rig.acd("status")
    assert (await rig.health())["ok"] is False

    # He hears that nobody is there, and asks again: ten seconds in which a hasty client would have tried and tried
    async def asked_again():
        return (await rig.status())["counters"]["agi_sessions"] >= 2

    await rig.until(asked_again, 30.0, "the caller to ask again")
    log = rig.serve_log()
    asterisk_log = "\n".join(rig.asterisk.log_tail(200))
    assert log.count(refused) == 1
    assert right.strip() not in log
    assert asterisk_log.count(f"failed to authenticate as 'acd-{name}'") == 1
    assert "compare manager.conf with the configured secret; next attempt in 60 s" in log

    await rig.stop_serve()
    file.write_text(right)
    await rig.start_serve()
    await finish(callers)
    call = await record(rig, "5551")
    assert (call["outcome"], call["agent"]) == ("answered", "anna")
    await until_idle(rig)


MISSING = {
    "module unload app_userevent.so": ("module load app_userevent.so", "lacks app_userevent:"),
    "module unload func_strings.so": ("module load func_strings.so", "lacks func_strings:"),
    "dialplan remove context acd-offer": ("dialplan reload", "the dialplan has no acd-offer:"),
}


async def test_unsuitable_asterisk(make_rig):
    """What is missing is named, with what to do; callers are held, and served once it is there."""
    rig = await make_rig(plan([phone("1001", "answer+talk:0.2")], floor(agents({"anna": "1001"}))), serve=False)
    for n, (harm, (mend, words)) in enumerate(MISSING.items()):
        rig.asterisk.cli(harm)
        await rig.start_serve(wait=False)

        async def unsuitable():
            return (await rig.status())["nodes"][0]["state"] == "unsuitable"

        await rig.until(unsuitable, 20.0, f"{harm} to be noticed", allow_down=True)
        (node,) = (await rig.status())["nodes"]
        assert words in node["detail"]
        assert words in re.sub(r"\s+", " ", await rig.acd("status"))
        assert [alarm["kind"] for alarm in (await rig.status())["alarms"]] == ["asterisk_unsuitable"]
        callers = await dial(rig, caller(number=f"555{n}"))
        await until_waiting(rig, 1)
        rig.asterisk.cli(mend)
        # Mended amid its life: found by itself (the last one), or at once when the connection comes back
        if n < len(MISSING) - 1:
            for row in rig.asterisk.cli("manager show connected").splitlines():
                if row.startswith("  acd-"):
                    rig.asterisk.cli(f"manager kick session {row.split()[4]}")
        await until(rig, "the node to be up", lambda s: s["nodes"][0]["state"] == "up")
        await rig.agent("anna", "login")
        await finish(callers)
        assert (await record(rig, f"555{n}"))["agent"] == "anna"
        await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
        await rig.agent("anna", "logout")
        await rig.stop_serve()


RIGHTS = {
    "acd-calls": "the manager user acd-calls may not do Setvar, Redirect, Hangup: add call to its write=",
    "acd-looks": "the manager user acd-looks may not do CoreSettings, CoreShowChannels, DeviceStateList, Getvar: "
    "add reporting",
}


async def test_rights_that_a_manager_user_lacks(make_rig):
    """They are named, with what to add, and not asked for again and again."""
    rig = await make_rig(plan([phone("1001", "answer+talk:0.2")], floor(agents({"anna": "1001"}))), serve=False)
    conf = rig.asterisk.tree.etc / "manager.conf"
    right = conf.read_text()
    for n, (user, words) in enumerate(RIGHTS.items()):
        before, _, section = right.partition(f"[{user}]")
        given = "user" if user == "acd-looks" else "reporting"
        conf.write_text(f"{before}[{user}]" + re.sub(r"(?m)^write ?=.*$", f"write = {given}", section, count=1))
        rig.asterisk.cli("manager reload")
        await rig.start_serve(wait=False)

        async def shown(words=words):
            return words in (await rig.status())["nodes"][0]["detail"]

        await rig.until(shown, 20.0, "the reason to be shown", allow_down=True)
        status = await rig.status()
        assert status["nodes"][0]["state"] == "unsuitable"
        assert [alarm["kind"] for alarm in status["alarms"]] == ["asterisk_unsuitable"]
        callers = await dial(rig, caller(number=f"555{n}"))
        await until_waiting(rig, 1)
        conf.write_text(right)
        rig.asterisk.cli("manager reload")
        for row in rig.asterisk.cli("manager show connected").splitlines():
            if row.startswith("  acd-"):
                rig.asterisk.cli(f"manager kick session {row.split()[4]}")
        await until(rig, "the node to be up", lambda s: s["nodes"][0]["state"] == "up")
        assert rig.serve_log().count(words) <= 3, "said in the alarm and the state, and not every second"
        await rig.agent("anna", "login")
        await finish(callers)
        assert (await record(rig, f"555{n}"))["agent"] == "anna"
        await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
        await rig.agent("anna", "logout")
        await rig.stop_serve()
