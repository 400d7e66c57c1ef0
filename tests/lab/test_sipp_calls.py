"""Callers and phones against a real Asterisk: every named behaviour, counted on both sides, and nothing lost."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from acd.domain.errors import LabError
from acd.lab import calls as calls_module
from acd.lab.asterisk import AsteriskOptions, AsteriskPorts, AsteriskProgram, LabAsterisk
from acd.lab.asterisk_files import PortBlock
from acd.lab.behaviours import Answers, Duration, parse_caller_behaviour, parse_phone_behaviour
from acd.lab.calls import Call, CallGenerator, place_calls, plan_calls
from acd.lab.parts import SIPP, Unpacked, ensure
from acd.lab.phone_bank import PhoneBank
from acd.lab.phones import Phone, make_phones
from acd.lab.sipp_results import SippCounts, SippResult

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHONES = {
    "2001": "answer",
    "2002": "answer-after:0.3",
    "2003": "answer+talk:0.4",
    "2004": "busy",
    "2005": "decline",
    "2006": "unavailable",
    "2007": "refuse:404",
    "2008": "busy-after:0.3",
    "2009": "never",
    "2010": "silent",
    "2011": "absent",
    "2012": "answer+talk:0.2+transfer:700",
    "2013": "answer+talk:uniform(0.1,0.3)",
}
DIALPLAN = """
[acd-inbound]
exten => _[12]XXX,1,Dial(PJSIP/${EXTEN},${IF($["${EXTEN}" > "2008"]?1:30)})
 same => n,Hangup(${IF($["${HANGUPCAUSE}" = "0"]?19:${HANGUPCAUSE})})
exten => held,1,Answer()
 same => n,MusicOnHold(default)
exten => ringing,1,Ringing()
 same => n,Wait(60)
exten => brief,1,Answer()
 same => n,Wait(0.2)
 same => n,Hangup()
exten => busy,1,Hangup(17)
exten => redirected,1,Dial(PJSIP/2009&PJSIP/2002,10)
exten => who,1,Log(NOTICE,who ${BASE64_ENCODE(${CALLERID(name)})} ${BASE64_ENCODE(${CALLERID(num)})} .)
 same => n,Hangup(17)
exten => login,1,Answer()
 same => n,Read(pin,,4,,1,5)
 same => n,Log(NOTICE,login ${CALLERID(num)} ${pin} .)
 same => n,Hangup()
[agents]
include => acd-inbound
exten => 700,1,Log(NOTICE,transferred ${CALLERID(num)} .)
 same => n,Wait(0.2)
 same => n,Hangup()
"""


PHONE_PORTS = 100


class Lab:
    """An Asterisk with one phone of each behaviour, some that register, and three hundred that just answer."""

    def __init__(self, folder: Path, program: AsteriskProgram, sipp: Unpacked) -> None:
        self.folder, self.command, self.env = folder, sipp.command("sipp"), sipp.env()
        # From 8888 on SIPps listen for commands, one port each
        ports, self.block = AsteriskPorts.free(), PortBlock(400, low=9_000, high=9_999)
        self.ports = iter(range(self.block.first + PHONE_PORTS, self.block.first + 400, CallGenerator.PORTS))
        self.registering = [*make_phones(2, first=2101, registers=True), Phone("2103", registers=True, secret="s")]
        self.registering.append(Phone("2103", Answers(Duration.fixed(0.2)), registers=True, secret="s"))
        phones = [Phone(name, parse_phone_behaviour(text)) for name, text in PHONES.items()]
        crowd = make_phones(300, first=1001, behaviour=Answers(talk=Duration.fixed(0.5)))
        self.bank = PhoneBank(
            [*phones, *self.registering, *crowd],
            ports.sip,
            self.block.first,
            self.command,
            folder / "phones",
            env=self.env,
        )
        self.asterisk = LabAsterisk(
            folder / "asterisk",
            program,
            ports,
            agi_port=4573,
            dialplan_text=DIALPLAN,
            endpoints=self.bank.endpoints,
            options=AsteriskOptions(),
            die_with_parent=True,
        )

    async def place(self, calls: Sequence[Call], rate: float = 50, timeout_s: float = 30) -> SippResult:
        port, sip = next(self.ports), self.asterisk.ports.sip
        return await place_calls(
            calls, rate, sip, port, self.command, self.folder / f"c{port}", env=self.env, timeout_s=timeout_s
        )

    def generator(self, calls: Sequence[Call], rate: float, at_once: int | None = None) -> CallGenerator:
        port, sip = next(self.ports), self.asterisk.ports.sip
        return CallGenerator(
            calls, rate, sip, port, self.command, self.folder / f"c{port}", at_once=at_once, env=self.env
        )

    def phone_counts(self, name: str) -> SippCounts:
        return self.bank.counts_by_behaviour().get(PHONES[name], SippCounts())

    def logged(self, pattern: str) -> list[re.Match[str]]:
        return list(re.finditer(pattern, "\n".join(self.asterisk.log_tail(2_000))))


async def eventually(look: Callable[[], object], wanted: object, within_s: float = 10.0) -> None:
    """SIPp writes its totals four times a second, Asterisk its log when it comes to it."""
    deadline = time.monotonic() + within_s
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, f"{seen} is not {wanted}"
        await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(asterisk_program: AsteriskProgram, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    sipp = await asyncio.to_thread(ensure, SIPP)
    made = Lab(tmp_path_factory.mktemp("lab"), asterisk_program, sipp)
    async with made.asterisk.started():
        await made.bank.start()
        try:
            yield made
        finally:
            result = await made.bank.stop()
    assert result.lost == 0, result.as_json()


# Whom three callers call, what they do, what becomes of them, and what the phone says of it.
BEHAVIOURS: list[tuple[str, str, dict[str, int], dict[str, int]]] = [
    ("2001", "talk:0.2", {"answered": 3, "hung_up": 3}, {"offered": 3, "answered": 3, "far_end_hung_up": 3}),
    ("2002", "talk:0.2", {"answered": 3, "hung_up": 3}, {"offered": 3, "answered": 3, "far_end_hung_up": 3}),
    ("2002", "patience:0.1", {"gave_up": 3}, {"offered": 3, "cancelled": 3}),
    ("2003", "until-bye", {"answered": 3, "far_end_hung_up": 3}, {"offered": 3, "answered": 3, "hung_up": 3}),
    ("2003", "talk:0.1", {"answered": 3, "hung_up": 3}, {"offered": 3, "answered": 3, "far_end_hung_up": 3}),
    ("2004", "refused", {"refused": 3}, {"offered": 3, "refused": 3}),
    ("2005", "refused", {"refused": 3}, {"offered": 3, "refused": 3}),
    ("2006", "refused", {"refused": 3}, {"offered": 3, "refused": 3}),
    ("2007", "refused", {"refused": 3}, {"offered": 3, "refused": 3}),
    ("2008", "refused", {"refused": 3}, {"offered": 3, "refused": 3}),
    ("2009", "refused", {"refused": 3}, {"offered": 3, "cancelled": 3}),
    ("2009", "patience:0.3", {"gave_up": 3}, {"offered": 3, "cancelled": 3}),
    ("2010", "refused", {"refused": 3}, {"offered": 3, "ignored": 3}),
    ("2011", "refused", {"refused": 3}, {}),
    ("2012", "until-bye", {"answered": 3, "far_end_hung_up": 3}, {"offered": 3, "answered": 3, "transferred": 3}),
    ("2013", "until-bye", {"answered": 3, "far_end_hung_up": 3}, {"offered": 3, "answered": 3, "hung_up": 3}),
    ("held", "patience:0.3", {"answered": 3, "hung_up": 3}, {}),
    ("held", "patience:9+talk:0.2", {"answered": 3, "hung_up": 3}, {}),
    ("ringing", "patience:0.2", {"gave_up": 3}, {}),
    ("brief", "until-bye", {"answered": 3, "far_end_hung_up": 3}, {}),
    ("brief", "patience:9+until-bye", {"answered": 3, "far_end_hung_up": 3}, {}),
    ("busy", "refused", {"refused": 3}, {}),
]


@pytest.mark.parametrize(("to", "behaviour", "callers", "phone"), BEHAVIOURS)
async def test_behaviour(lab: Lab, to: str, behaviour: str, callers: dict[str, int], phone: dict[str, int]) -> None:
    before = lab.phone_counts(to) if to in PHONES else SippCounts()
    result = await lab.place(plan_calls(to, 3, parse_caller_behaviour(behaviour)))
    assert result.lost == 0, result.as_json()
    assert result.started == 3
    assert dict(result.counts.outcomes) == {"placed": 3, **callers}
    if to in PHONES:

        def since() -> dict[str, int]:
            now = lab.phone_counts(to)
            ended = now.current == 0
            seen = {kind: now.outcomes.get(kind, 0) - before.outcomes.get(kind, 0) for kind in phone}
            return seen if ended else {}

        await eventually(since, phone)


async def test_who_leaves_when_is_kept_to(lab: Lab) -> None:
    """A tenth of a second's slack: this machine may be busy."""
    result = await lab.place(plan_calls("2002", 3, parse_caller_behaviour("talk:0.5")), 5)
    at = {(event.call, event.kind): event.at for event in result.events}
    for call in (1, 2, 3):
        assert at[call, "answered"] - at[call, "placed"] == pytest.approx(0.3, abs=0.1)
        assert at[call, "hung_up"] - at[call, "answered"] == pytest.approx(0.5, abs=0.1)
    assert at[2, "placed"] - at[1, "placed"] == pytest.approx(0.2, abs=0.1)
    p50 = result.percentile_ms(50)
    assert p50 is not None
    assert 295 < p50 < 400


async def test_a_refusal_that_was_not_expected_is_lost(lab: Lab) -> None:
    result = await lab.place(plan_calls("busy", 2, parse_caller_behaviour("until-bye")))
    assert (result.lost, dict(result.counts.failures)) == (2, {"unexpected message": 2})
    assert "486" in " ".join(result.errors)


async def test_an_answer_where_a_refusal_was_expected_is_lost_and_hung_up(lab: Lab) -> None:
    result = await lab.place(plan_calls("held", 2, parse_caller_behaviour("refused")))
    assert result.lost == 2
    assert dict(result.counts.outcomes) == {"placed": 2, "answered": 2, "hung_up": 2}


async def test_a_call_that_runs_into_its_limit_is_lost_and_hung_up(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "LIMIT_S", 0.3)
    held, ringing = await lab.place([Call("held")]), await lab.place([Call("ringing")])
    assert (held.lost, dict(held.counts.outcomes)) == (1, {"placed": 1, "answered": 1, "hung_up": 1})
    assert (ringing.lost, dict(ringing.counts.outcomes)) == (1, {"placed": 1, "gave_up": 1})


async def test_calls_still_up_at_the_end_are_lost(lab: Lab) -> None:
    generator = lab.generator(plan_calls("held", 4, parse_caller_behaviour("until-bye")), 100)
    await generator.start()
    await eventually(lambda: generator.counts().outcomes.get("answered", 0), 4)
    result = await generator.stop(0)
    assert (result.started, result.lost, dict(result.counts.failures)) == (4, 4, {"not ended": 4})
    assert not generator.running


async def test_stopping_places_no_more_calls_and_lets_the_others_end(lab: Lab) -> None:
    generator = lab.generator(plan_calls("held", 1_000, parse_caller_behaviour("talk:0.8")), 20)
    await generator.start()
    await eventually(lambda: generator.counts().created > 3, True)
    result = await generator.stop(10)
    assert 3 < result.started < 500
    assert result.lost == 0, result.as_json()


async def test_no_more_calls_at_a_time_than_allowed(lab: Lab) -> None:
    generator = lab.generator(plan_calls("held", 12, parse_caller_behaviour("talk:0.3")), 1_000, at_once=4)
    await generator.start()
    result = await generator.wait(30)
    up, most = 0, 0
    for event in result.events:
        up += {"placed": 1, "hung_up": -1}.get(event.kind, 0)
        most = max(most, up)
    assert (result.started, result.lost, most) == (12, 0, 4)


async def test_a_busy_hour_with_three_hundred_phones_loses_nothing(lab: Lab) -> None:
    """Callers and phones hang up at the same moment on purpose, and some give up just as they are answered."""
    mixture = {"talk:0.5": 3.0, "until-bye": 2.0, "talk:uniform(0.1,0.6)": 2.0, "patience:0.006+talk:0.3": 1.0}
    dids = {phone.name: 1.0 for phone in lab.bank.phones if phone.name.startswith("1")}
    kinds = {parse_caller_behaviour(text): weight for text, weight in mixture.items()}
    result = await lab.place(plan_calls(dids, 400, kinds, seed=3), 80, timeout_s=60)
    assert (result.started, result.lost) == (400, 0), result.as_json()
    assert result.outcome("answered") + result.outcome("gave_up") == 400


async def test_all_contacts_of_one_endpoint_ring_and_the_first_to_answer_gets_the_call(lab: Lab) -> None:
    two = [phone for phone in lab.registering if phone.name == "2103"]
    await lab.bank.register(two)
    shown = await asyncio.to_thread(lab.asterisk.cli, "pjsip show aor 2103")
    assert all(f"@127.0.0.1:{lab.bank.port_of(phone)}" in shown for phone in two)
    result = await lab.place([Call("2103", talk_s=0.2)])
    assert (result.lost, result.outcome("answered")) == (0, 1)
    await lab.bank.unregister([two[1]])
    shown = await asyncio.to_thread(lab.asterisk.cli, "pjsip show aor 2103")
    assert f"@127.0.0.1:{lab.bank.port_of(two[0])}" in shown
    assert f"@127.0.0.1:{lab.bank.port_of(two[1])}" not in shown
    await lab.bank.unregister()
    assert "Contact:  2103" not in await asyncio.to_thread(lab.asterisk.cli, "pjsip show contacts")


async def test_a_registration_ends_with_its_time(lab: Lab) -> None:
    def known() -> bool:
        return "2101/sip" in lab.asterisk.cli("pjsip show contacts")

    await lab.bank.register([lab.registering[0]], expires_s=1)
    assert known()
    await eventually(known, False)


async def test_registrations_come_from_another_port_when_theirs_is_taken(lab: Lab) -> None:
    bank = PhoneBank(
        [lab.registering[0]], lab.asterisk.ports.sip, next(lab.ports), lab.command, lab.folder / "moved", env=lab.env
    )
    contact = f"2101@127.0.0.1:{bank.port_of(lab.registering[0])}"
    await bank.register()
    assert contact in await asyncio.to_thread(lab.asterisk.cli, "pjsip show contacts")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", bank.last_port))
        await bank.unregister()
    assert contact not in await asyncio.to_thread(lab.asterisk.cli, "pjsip show contacts")


async def test_a_wrong_secret_is_refused_and_said(lab: Lab) -> None:
    forged = PhoneBank(
        [Phone("2101", registers=True, secret="wrong")],
        lab.asterisk.ports.sip,
        next(lab.ports),
        lab.command,
        lab.folder / "forged",
        env=lab.env,
    )
    with pytest.raises(LabError, match="did not take 1 of 1"):
        await forged.register()


@pytest.mark.parametrize("name", ["2001", "2101"])
async def test_an_agent_dials_and_types_his_pin(lab: Lab, name: str) -> None:
    """2001 is believed, 2101 is challenged. The name he calls by makes him an agent: his context, his number."""
    phone = next(phone for phone in lab.bank.phones if phone.name == name)
    calls = [Call.from_phone(phone, "login", parse_caller_behaviour("dtmf:12,34"))]
    result = await lab.place(calls)
    assert (result.lost, result.outcome("far_end_hung_up")) == (0, 1), result.as_json()
    await eventually(lambda: len(lab.logged(rf"login {name} 1234 \.")), 1)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ('Ann "Ace" Ames \\ Co', "5551"),
        ("O'Neill, Tom; <sip:x@y>", "5551"),
        ("Zoë Brontë 李", "5551"),
        ("bell\x07tab\tdel\x7f", "5551"),
        ("[field0] [$name] ${EXTEN} %s", "+49 (30) 1"),
        ("", "a b"),
        ("x", "1\r\nX-Evil: yes"),
    ],
)
async def test_hostile_callers_arrive_as_they_are(lab: Lab, name: str, number: str) -> None:
    before = len(lab.logged(r"who (\S*) (\S*) \."))
    result = await lab.place([Call("who", number, name, expects_refusal=True)])
    assert result.lost == 0, result.as_json()
    await eventually(lambda: len(lab.logged(r"who (\S*) (\S*) \.")), before + 1)
    seen = lab.logged(r"who (\S*) (\S*) \.")[-1]
    # Asterisk keeps the backslashes of a quoted string.
    arrived = name.replace("\\", "\\\\").replace('"', '\\"')
    assert [base64.b64decode(text).decode() for text in seen.groups()] == [arrived, number]


async def test_a_call_generator_answers_to_its_port_being_taken(lab: Lab) -> None:
    taken = lab.bank.port_of(lab.bank.phones[0])
    generator = CallGenerator([Call("busy")], 1, lab.asterisk.ports.sip, taken, lab.command, lab.folder / "x")
    with pytest.raises(LabError, match="is not free"):
        await generator.start()
