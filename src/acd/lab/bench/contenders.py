"""Who competes, and what Asterisk's files say of each. Text only; running them is `stand`'s.

Callers dial one number; what lies behind it makes the contender. The queue is configured as app_queue's sample advises
for busy queues (autofill=yes, ringinuse=no), its log is off, and it tries again after a second, not after five.
"""

from __future__ import annotations

from acd.domain.values import valueclass

NUMBER = "800"
QUEUE = "bench"
UNHEARD_EVENTS = (
    *("VarSet", "Newexten", "Newstate", "NewConnectedLine", "NewCallerid", "NewAccountCode", "Newchannel"),
    *("BridgeCreate", "BridgeDestroy", "HangupRequest", "SoftHangupRequest", "MusicOnHoldStart", "MusicOnHoldStop"),
    *("RTCPSent", "RTCPReceived", "AGIExecStart", "AGIExecEnd", "TestEvent"),
)
"""Manager events that acd has no use for. Asterisk makes every event for every session and wakes each session for it,
whatever its filter says; ``disabledevents`` in manager.conf spares it that, on a PBX that serves acd alone."""


@valueclass(frozen=True, slots=True)
class Contender:
    """``strategy`` is app_queue's, None for the others. ``is_acd``: a controller runs beside Asterisk."""

    key: str
    title: str
    strategy: str | None = None
    is_acd: bool = False

    @property
    def can_wait(self) -> bool:
        """Whether callers can wait for a free agent."""
        return self.is_acd or self.strategy is not None


BARE_DIAL = Contender("dial", "bare Dial")
LEAST_RECENT = Contender("leastrecent", "app_queue leastrecent", "leastrecent")
ROUND_ROBIN = Contender("rrmemory", "app_queue rrmemory", "rrmemory")
ACD = Contender("acd", "acd", is_acd=True)
CONTENDERS = (BARE_DIAL, LEAST_RECENT, ROUND_ROBIN, ACD)


def by_key(key: str) -> Contender:
    """The contender called ``key``; KeyError for none."""
    return {contender.key: contender for contender in CONTENDERS}[key]


def dialplan(contender: Contender, *, first_phone: int, phones: int, held: bool) -> str:
    """What a call to `NUMBER` does; empty for acd, whose own contexts take it.

    Bare Dial takes the phones in turn, by the serial in the caller's number. ``held``: callers are answered at once and
    hear the music; otherwise the agent's answer is the caller's.
    """
    if contender.is_acd:
        return ""
    if contender.strategy is None:
        steps = [f"Dial(PJSIP/$[{first_phone} + ${{CALLERID(num):-7}} % {phones}],30)"]
    else:
        # i: not to wait for the caller's first audio, which a signalling benchmark never sends
        steps = (["Answer(0,i)"] if held else []) + [f"Queue({QUEUE})"]
    # A context of its own: the lab's has a pattern that would also run at hang-up, as extension h
    way_in = f"[from-trunk](+)\nexten => {NUMBER},1,Goto(bench,s,1)\n\n[bench]\n"
    lines = [f"exten => s,1,{steps[0]}", *(f" same => n,{step}" for step in [*steps[1:], "Hangup()"])]
    return way_in + "\n".join(lines) + "\n"


def queues_conf(contender: Contender, devices: list[str]) -> str:
    """queues.conf; without a queue for those who need none, since every member costs Asterisk something."""
    general = "[general]\npersistentmembers = no\nautofill = yes\nshared_lastcall = no\n"
    if contender.strategy is None:
        return general
    settings = {
        "strategy": contender.strategy,
        "autofill": "yes",
        "ringinuse": "no",
        "musicclass": "default",
        "timeout": "20",
        "retry": "1",
        "wrapuptime": "0",
        "joinempty": "yes",
        "leavewhenempty": "no",
    }
    lines = [f"{key} = {value}" for key, value in settings.items()]
    return general + f"\n[{QUEUE}]\n" + "\n".join([*lines, *(f"member => {device}" for device in devices)]) + "\n"
