"""The same calls through app_queue and through acd, and both logs event by event.

One Asterisk, two of everything: queue, agent and phone have the same names and behaviours on both sides. What the logs say
of a caller must be the same but for what docs/records.md says differs.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

from sipphone import SipPhone

from acd.lab.asterisk import AsteriskOptions
from callkit import (
    PATIENT_S,
    agents,
    caller,
    dial,
    finish,
    floor,
    hang_up,
    phone,
    plan,
    until,
    until_agent,
    until_channels,
    until_idle,
)

QUEUES = ("ours", "theirs", "waits", "rings", "rona", "late", "empty", "blind", "joins")
"""A queue for each scenario; the caller dials 10N for ours, 80N for app_queue's, N its place here."""
PHONES = {
    "ours": ("anna", "answer+talk:1.6"),
    "theirs": ("bert", "answer"),
    "waits": ("cora", "answer"),
    "rings": ("dora", "never"),
    "rona": ("eric", "never"),
    "blind": ("fred", "answer+talk:1.2+transfer:602"),
    "joins": ("gina", "absent"),
}
SECOND = ("hans", "answer+talk:1.2")
"""Who takes the call that Eric misses."""
TARGETS = """
[agents]
exten => 600,1,Answer()
 same => n,Wait(300)
exten => 602,1,Dial(PJSIP/1099,30)
exten => 603,1,Dial(PJSIP/2099,30)

[sorry]
exten => s,1,Answer()
 same => n,Wait(0.5)
 same => n,Hangup()

[theirs]
"""
LOGGER = "[general]\ndateformat = %F %T.%3q\nqueue_log = yes\n[logfiles]\nmessages.log => notice,warning,error\n"
MEMBERS = {name: 1 + n for n, name in enumerate([*(who for who, _ in PHONES.values()), SECOND[0]])}
BEHAVIOURS = dict([*PHONES.values(), SECOND])


def ours(who):
    return str(1000 + MEMBERS[who])


def theirs(who):
    return str(2000 + MEMBERS[who])


def queues_conf():
    text = "[general]\npersistentmembers = no\nautofill = yes\nlog_membername_as_agent = yes\n"
    for name in QUEUES:
        settings = {
            "strategy": "linear",
            "ringinuse": "no",
            "timeout": "2" if name == "rona" else "20",
            "retry": "1",
            "joinempty": "yes",
            "leavewhenempty": "yes" if name == "empty" else "no",
            "autopause": "all",
        }
        text += f"\n[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())
    return text


def ways_in():
    lines = []
    for n, name in enumerate(QUEUES):
        limit = ",,,,2" if name == "late" else ""
        lines += [f"exten => 80{n},1,Queue({name}{limit})", " same => n,Goto(sorry,s,1)"]
    trunk = [f"exten => 80{n},1,Goto(theirs,80{n},1)" for n in range(len(QUEUES))]
    return TARGETS + "\n".join([*lines, "[from-trunk](+)", *trunk]) + "\n"


def their_plan():
    who = {}
    for name, (one, _) in PHONES.items():
        who |= agents({one: ours(one)}, number=str(3000 + MEMBERS[one]), queues=[name])
    who |= agents({SECOND[0]: ours(SECOND[0])}, number=str(3000 + MEMBERS[SECOND[0]]), queues=["rona"])
    special = {
        "rona": {"ring_timeout": 2},
        "late": {"max_wait": 2, "overflow": "dialplan:sorry,s"},
        "empty": {"on_nobody": "dialplan:sorry,s"},
    }
    phones = [phone(ours(one), how) for one, how in BEHAVIOURS.items()]
    phones += [phone(theirs(one), how.replace("602", "603")) for one, how in BEHAVIOURS.items()]
    phones += [phone("1099", "answer"), phone("2099", "answer")]
    return plan(
        phones,
        floor(
            who,
            queues={name: special.get(name, {}) for name in QUEUES},
            entry_points={f"10{n}": name for n, name in enumerate(QUEUES)},
        ),
        dialplan_text=ways_in(),
        options=AsteriskOptions(queues=queues_conf()),
        extra_files={"logger.conf": LOGGER},
    )


async def member(rig, command):
    await asyncio.to_thread(rig.asterisk.cli, f"queue {command}")


class Pace:
    """How long it took at most until both sides had heard what was asked of both: so much later one may tell of it."""

    slowest_s = 0.0

    @classmethod
    async def together(cls, *asked):
        began = time.monotonic()
        await asyncio.gather(*asked)
        cls.slowest_s = max(cls.slowest_s, time.monotonic() - began)


async def log_in(rig, who, queue):
    await Pace.together(
        rig.agent(who, "login"),
        member(rig, f"add member PJSIP/{theirs(who)} to {queue} penalty 0 as {who}"),
    )


async def pause(rig, who, reason):
    await Pace.together(
        rig.agent(who, "pause", reason=reason),
        # Its command has no reason without a queue
        asyncio.to_thread(
            rig.asterisk.cli,
            f"channel originate Local/600@agents application PauseQueueMember ,PJSIP/{theirs(who)},,{reason}",
        ),
    )


async def resume(rig, who):
    await Pace.together(rig.agent(who, "resume"), member(rig, f"unpause member PJSIP/{theirs(who)}"))


def both(name, behaviour="until-bye", their_behaviour=None):
    """The same caller to acd and to app_queue, by the number 1N and 2N."""
    n = QUEUES.index(name)
    return [
        caller(f"10{n}", behaviour, number=f"1{n}"),
        caller(f"80{n}", their_behaviour or behaviour, number=f"2{n}"),
    ]


def events(text):
    """What a log says, by caller's number; of agents by name."""
    found, numbers = defaultdict(list), {}
    rows = [line.split("|") for line in text.splitlines()]
    for row in rows:
        if row[4] == "ENTERQUEUE":
            numbers[row[1]] = row[6]
    for at, uniqueid, queue, agent, event, *data in rows:
        whose = numbers.get(uniqueid, agent)
        found[whose].append((int(at), queue, agent, event, data))
    return found


POSITIONS = {
    "ENTERQUEUE": 1,
    "ABANDON": 2,
    "EXITWITHTIMEOUT": 2,
    "EXITEMPTY": 2,
    "COMPLETEAGENT": -1,
    "COMPLETECALLER": -1,
}
"""Where in the data there is no tolerance: so many fields at the beginning (or at the end) are places in line."""


def alike(mine, their):
    """Whether two times of the logs are the same, as far as two calls can be: app_queue looks every second."""
    if mine.isdigit() and their.isdigit():
        slow_s = Pace.slowest_s
        return abs(int(mine) - int(their)) <= (900 + 1000 * slow_s if int(their) >= 1000 else 2 + slow_s)
    return mine == their


def compare(mine, their):
    """Both stories of one caller or agent."""
    assert [row[3] for row in mine] == [row[3] for row in their], (mine, their)
    for one, other in zip(mine, their, strict=True):
        assert one[1:3] == other[1:3], (one, other)
        assert abs((one[0] - mine[0][0]) - (other[0] - their[0][0])) <= 2 + Pace.slowest_s, (mine, their)
        left, right = list(one[4]), list(other[4])
        if one[3] == "ENTERQUEUE":
            left, right = left[2:], right[2:]  # without the number
        if one[3] == "CONNECT":
            # Which channel of the agent's it was is not recorded; ours is the offer
            left[1] = right[1] = ""
        if one[3] == "BLINDTRANSFER":
            assert (left.pop(0), right.pop(0)) == ("602", "603")
        if one[3] == "ATTENDEDTRANSFER":
            assert left.pop(0) == right.pop(0) == "BRIDGE"
            assert left.pop(0) == "1099"
            assert len(right.pop(0)) == 36  # a bridge's id
        assert len(left) == len(right), (one, other)
        exact = POSITIONS.get(one[3], 0)
        assert left[:exact] == right[:exact] if exact >= 0 else left[exact:] == right[exact:], (one, other)
        assert all(map(alike, left, right)), (one, other)


async def until_theirs(rig, whose, event):
    """Wait until app_queue has written ``event`` of a caller (by number) or an agent."""

    async def written():
        log = await asyncio.to_thread((rig.asterisk.tree.log / "queue_log").read_text)
        # The last line may be half there
        return any(row[3] == event for row in events(log[: log.rfind("\n") + 1])[whose])

    await rig.until(written, PATIENT_S, f"app_queue to write {event} of {whose}")


def in_table(rig):
    """The table as lines, without empty fields at their ends."""
    rows = rig.rows("SELECT strftime('%s', time), callid, queuename, agent, event, data1, data2, data3, data4, data5 "
                     "FROM queue_log ORDER BY id")  # fmt: skip
    return ["|".join(row).rstrip("|") for row in rows]


async def consult_and_join(rig, sip):
    """Gina's two phones at once: each answers, calls somebody, and joins the caller with him after the same time."""
    firsts = [await sip.called.get() for _ in range(2)]
    names = [ours("gina") if ours("gina") in first.local else theirs("gina") for first in firsts]
    targets = {ours("gina"): "602", theirs("gina"): "603"}
    seconds = await asyncio.gather(*(sip.call(targets[name], name=name) for name in names))
    await asyncio.gather(until_agent(rig, "gina", "TALKING"), until_theirs(rig, "28", "CONNECT"))
    await asyncio.sleep(1.1)
    await asyncio.gather(*map(sip.join, firsts, seconds))


async def test_both_logs_tell_the_same(make_rig, tmp_path):
    rig = await make_rig(their_plan())
    # Phones that are absent have one port between them
    (ginas,) = {rig.bank.port_of(one) for one in rig.plan.phones if one.name in (ours("gina"), theirs("gina"))}
    sip = await SipPhone.open("gina", ginas, rig.ports.sip)
    followers = [
        await asyncio.create_subprocess_exec(*rig.command("queue-log", *how, "--interval", "0.2"))
        for how in (("export", "--follow", "--from", "1m", str(tmp_path / "live")), ("table",))
    ]
    try:
        for name, (who, _) in PHONES.items():
            await log_in(rig, who, name)
        await log_in(rig, SECOND[0], "rona")
        await pause(rig, SECOND[0], "lunch")
        await pause(rig, "cora", "meeting")

        joins = await dial(rig, *both("joins"))
        await consult_and_join(rig, sip)
        calls = [
            await dial(rig, *both("ours")),
            await dial(rig, *both("theirs", "talk:2.2")),
            await dial(rig, *both("waits", "talk:2", "patience:2.5")),
            await dial(rig, *both("rings", "patience:2")),
            await dial(rig, *both("late")),
            await dial(rig, *both("empty")),
        ]
        blind = await dial(rig, *both("blind"))
        rona = await dial(rig, *both("rona"))
        await asyncio.gather(until_agent(rig, "eric", "PAUSED", reason="rona"), until_theirs(rig, "eric", "PAUSE"))
        await resume(rig, SECOND[0])
        for one in (*calls, rona):
            await finish(one)
        await until(rig, "two to be passed on", lambda s: s["transferred"] == 2)
        await until_channels(rig, "the handed-over calls to be all", lambda rows: len(rows) == 8)
        for number in ("17", "27", "18", "28"):
            await hang_up(rig, number)
        for one in (blind, joins):
            await finish(one)
        await until_idle(rig)
        await resume(rig, "cora")
        await Pace.together(
            rig.agent("cora", "logout"), member(rig, f"remove member PJSIP/{theirs('cora')} from waits")
        )

        log = await rig.acd("queue-log", "export", "--from", "10m", "-")
        mine = events(log)
        their = events((rig.asterisk.tree.log / "queue_log").read_text())
        for n in range(len(QUEUES)):
            assert mine[f"1{n}"][1][3:] == ("DID", [f"10{n}"])
            del mine[f"1{n}"][1]
            compare(mine[f"1{n}"], their[f"2{n}"])
        for who in MEMBERS:
            compare(mine[who], their[who])
        assert log.splitlines()[0].endswith("|NONE|NONE|NONE|QUEUESTART|") or mine["NONE"][0][3] == "QUEUESTART"

        async def followed():
            return (tmp_path / "live").read_text() == log

        await rig.until(followed, 15.0, "the log that is followed to say the same")

        async def filled():
            return in_table(rig) == [line.rstrip("|") for line in log.splitlines()]

        await rig.until(filled, 15.0, "the table to say the same")
    finally:
        for follower in followers:
            follower.terminate()
            await follower.wait()
        sip.close()
