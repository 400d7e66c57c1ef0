"""The samples for Asterisk, read by a real one: it takes them without a complaint, and their rights are just enough."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from acd.config import write_samples
from acd.lab.behaviours import parse_caller_behaviour, parse_phone_behaviour
from acd.lab.calls import plan_calls
from acd.lab.phones import make_phones
from acd.lab.rig import Rig, RigPlan, simple_floor

MakeRig = Callable[..., Awaitable[Rig]]


class Manager:
    """A bare manager session."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def login(cls, port: int, user: str, secret: str) -> Manager:
        session = cls(*await asyncio.open_connection("127.0.0.1", port))
        assert (await session.reader.readline()).startswith(b"Asterisk Call Manager/")
        assert "Success" in await session.ask("Login", Username=user, Secret=secret)
        return session

    async def ask(self, action: str, **headers: str) -> str:
        """The response, as text; events are passed over."""
        lines = [f"Action: {action}", "ActionID: mine", *(f"{name}: {value}" for name, value in headers.items())]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        while True:
            message = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)).decode()
            if "Response: " in message and "ActionID: mine" in message:
                return message

    async def events_until(self, last: str) -> list[str]:
        """Names of the events up to the first that contains ``last``."""
        names = []
        while True:
            message = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)).decode()
            names.append(message.partition("\r\n")[0].removeprefix("Event: "))
            if last in message:
                return names

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


async def install(rig: Rig, folder: Path, provider: int) -> None:
    """Put the samples where an operator would: included at the end of Asterisk's own files.

    The trunk's provider is at that port of loopback: the lab's Asterisk reaches nothing else, and says so as an error.
    """
    write_samples(folder)
    etc = rig.asterisk.tree.etc
    manager = (folder / "manager_acd.conf").read_text()
    for name in ("calls", "looks"):
        ours = (folder / "secrets" / f"ami-{name}").read_text().strip()
        manager = manager.replace(ours, (rig.directory / f"ami-{name}").read_text().strip())
    (etc / "manager_acd.conf").write_text(manager)
    general = f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nport = {rig.ports.ami}\n"
    (etc / "manager.conf").write_text(f'{general}#include "manager_acd.conf"\n')
    documented, pjsip = "contact = sip:192.0.2.10:5060", (folder / "pjsip_acd.conf").read_text()
    assert documented in pjsip
    (etc / "pjsip_acd.conf").write_text(pjsip.replace(documented, f"contact = sip:127.0.0.1:{provider}"))
    with (etc / "pjsip.conf").open("a") as file:
        file.write('\n#include "pjsip_acd.conf"\n')
    await asyncio.to_thread(rig.asterisk.cli, "manager reload")
    await asyncio.to_thread(rig.asterisk.cli, "module reload res_pjsip.so")


async def test_asterisk_takes_the_samples(make_rig: Callable[..., Any], tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as provider:
        provider.bind(("127.0.0.1", 0))
        provider.setblocking(False)
        await takes_the_samples(make_rig, tmp_path, provider)


async def takes_the_samples(make_rig: Callable[..., Any], tmp_path: Path, provider: socket.socket) -> None:
    phones = make_phones(1, first=3001, behaviour=parse_phone_behaviour("answer+talk:0.5"))
    rig: Rig = await make_rig(RigPlan(phones, simple_floor([phones[0].name])), serve=False)
    said_before = rig.asterisk.log_tail(1000)
    await install(rig, tmp_path / "samples", provider.getsockname()[1])

    async def phone_known() -> bool:
        return "aors" in await asyncio.to_thread(rig.asterisk.cli, "pjsip show endpoint 1002")

    await rig.until(phone_known, 5.0, "the sample's phones")
    shown = rig.asterisk.cli("pjsip show endpoint 1001")
    values = dict(line.split(":", 1) for line in shown.replace(" ", "").splitlines() if ":" in line)
    wanted = {"context": "from-agents", "dtmf_mode": "auto_info", "rtp_timeout": "60", "direct_media": "false"}
    assert {name: values[name] for name in wanted} == wanted
    assert values["auth"] == "1001"
    assert "remove_existing" in rig.asterisk.cli("pjsip show aor 1001")
    assert "from-trunk" in rig.asterisk.cli("pjsip show endpoint acd-trunk")
    assert "192.0.2.10" in rig.asterisk.cli("pjsip show identifies")
    # It asks the provider by itself within half a minute; at once when told to
    await asyncio.to_thread(rig.asterisk.cli, "pjsip qualify acd-trunk")
    asked = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(provider, 4096), 5)
    assert asked.startswith(b"OPTIONS sip:127.0.0.1:"), asked
    general = " ".join(rig.asterisk.cli("manager show settings").split())
    assert "Timestamp events: Yes Channel vars: acd_call,acd_place,acd_offer,acd_agent " in general
    assert [
        line for line in rig.asterisk.log_tail(1000)[len(said_before) :] if "ERROR" in line or "WARNING" in line
    ] == []

    await rights_are_narrow(rig)
    await rig.start_serve()
    await rig.login_all()
    result = await rig.place(plan_calls("100", 2, parse_caller_behaviour("until-bye")), 1.0)
    assert result.lost == 0, result.errors
    await rig.until_status("the agent to be free", lambda s: s["agents"].get("AVAILABLE") == 1)
    status = await rig.status()
    assert (status["offered"], status["answered"], status["alarms"]) == (2, 2, [])
    # That a busy machine held the loop up has nothing to do with the samples
    log = [line for line in rig.serve_log().splitlines() if " acd.engine.lag: " not in line]
    assert [line for line in log if "WARNING" in line or "ERROR" in line] == []


async def rights_are_narrow(rig: Rig) -> None:
    """What a thief of either secret cannot do."""
    secrets = {name: (rig.directory / f"ami-{name}").read_text().strip() for name in ("calls", "looks")}
    listener = await Manager.login(rig.ports.ami, "acd-calls", secrets["calls"])
    looker = await Manager.login(rig.ports.ami, "acd-looks", secrets["looks"])
    dangerous: tuple[tuple[str, dict[str, str]], ...] = (
        ("Command", {"Command": "core show version"}),
        ("Originate", {"Channel": "PJSIP/1001", "Application": "System", "Data": "id"}),
        ("UpdateConfig", {}),
        ("GetConfig", {"Filename": "manager.conf"}),
        ("ModuleLoad", {"LoadType": "reload"}),
        ("MixMonitor", {"Channel": "x"}),
    )
    for session in (listener, looker):
        for action, headers in dangerous:
            assert "Permission denied" in await session.ask(action, **headers), action
    assert "Permission denied" in await listener.ask("CoreShowChannels")
    for action, headers in (("Setvar", {"Variable": "x", "Value": "y"}), ("Redirect", {"Channel": "x"})):
        assert "Permission denied" in await looker.ask(action, **headers), action
    # a second log-in is refused while the first is up
    second = Manager(*await asyncio.open_connection("127.0.0.1", rig.ports.ami))
    await second.reader.readline()
    assert "Login Already In Use" in await second.ask("Login", Username="acd-looks", Secret=secrets["looks"])
    # the filter keeps out VarSet, Newchannel and their like; what passes bears Asterisk's time
    await asyncio.to_thread(rig.asterisk.cli, "channel originate Local/s@nowhere application UserEvent Mark,A: b")
    await asyncio.to_thread(rig.asterisk.cli, "devstate change Custom:mark BUSY")
    names = await listener.events_until("Custom:mark")
    assert set(names) <= {"FullyBooted", "DeviceStateChange", "Hangup", "UserEvent"}
    for session in (listener, looker, second):
        await session.close()
