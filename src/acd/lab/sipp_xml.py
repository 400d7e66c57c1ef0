"""The words SIPp scenarios are made of (XML text); the scenarios are `sipp_callers`' and `sipp_phones`'.

How they are built, because SIPp leaves room for calls that fail by themselves:

- SIPp runs one step of a call, then listens, for up to a millisecond; a message it does not expect at its present step
  fails the call. So whatever may come at any time (BYE, CANCEL, a new offer, answers to the INVITE) is a *global*
  optional reception with a jump, and every wait is a pause that such a message cuts short.
- A message is looked for from the present step on, as far as receptions go, then backwards; so the nearest global
  reception above counts. Each phase of a call therefore begins with the receptions that are its own, and a phase that
  is over leaves a `fence` behind: receptions that take what is late and change nothing.
- A message that finds a ``nop`` as the present step is put aside until the next reception, and a pause is none; a
  second one replaces it. So between the first request and the last nothing is a ``nop`` but what marks a failure:
  `compute` is a pause of no time (and one or two milliseconds), and where even that is too long, other steps carry the
  actions.
- The receptions of a fence say ``advance_state="false"``. One with a ``test`` that fails would put the call to sleep in
  front of a message it has to send; one without a jump would move on to the step below it.
- The step that follows a request must come after the receptions of its answers: requests jump to their wait.
- Flags are set in a reception's own action, which runs at once; a ``test`` is made after it.
- A reception above the request that is being retransmitted does not stop its retransmission, and SIPp sends nothing
  else meanwhile. So where we wait for an answer to a request of ours, BYE and CANCEL are received there as well.
- Packets are lost, when a busy machine overflows a socket's buffer: an ACK that never comes may be followed by a BYE.
- Branches carry CSeq, since SIPp's own repeat when a step is run twice. Responses are matched by transaction, which
  for SIPp is the branch. But a CANCEL has its INVITE's branch, so responses to INVITE are matched by the method in
  CSeq: SIPp does so for requests that start no transaction. Their receptions stand before those of CANCEL's.
- A call is marked failed, and yet taken down properly, by a test that cannot succeed (``check_it``).

Every scenario logs ``<timestamp>|<event>|<call>|<who>|<detail>`` at the events `sipp_results` knows.
"""

from __future__ import annotations

FINAL_WAIT_MS = 35_000
"""Longer than any SIP transaction lives (64 * T1 = 32 s)."""
_LINGER_MS = 20
"""How long a call that was hung up still answers a BYE that was under way."""
NO_BODY = "Content-Length: 0"
VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=z9hG4bK-[pid]-[call_number]-[cseq]"
RETRANSMITTED = 'retrans="500"'
NEVER = '<recv request="NEVER"/>'
"""Wait here; only a global reception leads on."""

_SDP = """
      v=0
      o=lab 1 1 IN IP4 [local_ip]
      s=-
      c=IN IP4 [media_ip]
      t=0 0
      m=audio [media_port] RTP/AVP 0 101
      a=rtpmap:0 PCMU/8000
      a=rtpmap:101 telephone-event/8000
      a=fmtp:101 0-15
      a=ptime:20
      a=sendrecv
"""


def lines(*parts: str) -> str:
    """Header lines, one below the other; empty ones left out."""
    return "\n      ".join(part for part in parts if part)


def scenario(name: str, body: str, references: str = "") -> str:
    """The whole file. ``references`` names variables used once, which SIPp takes for mistakes otherwise."""
    unused = f'\n  <Reference variables="{references}"/>' if references else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE scenario SYSTEM "sipp.dtd">\n'
        f'<scenario name="{name}">\n{body.strip()}{unused}\n</scenario>\n'
    )


def send(message: str, attributes: str = "", action: str = "") -> str:
    """Send ``message`` (start line, headers, perhaps an empty line and a body)."""
    inner = f"\n    <action>{action}</action>" if action else ""
    return f"  <send {attributes}><![CDATA[\n      {message.strip()}\n\n    ]]>{inner}</send>\n"


def send_with_sdp(head: str, attributes: str = "", action: str = "") -> str:
    """Send ``head`` (start line and headers) with a session description."""
    described = lines(head.strip(), "Content-Type: application/sdp", "Content-Length: [len]")
    return send(f"{described}\n{_SDP}", attributes, action)


def response(status: str, *more: str, tag: str = "") -> str:
    """A response to the message received last; ``tag`` is appended to its To."""
    last = ("[last_Via:]", "[last_From:]", f"[last_To:]{tag}", "[last_Call-ID:]", "[last_CSeq:]")
    return lines(f"SIP/2.0 {status}", *last, *more)


def log(event: str, who: str, detail: str = "") -> str:
    """An action: one line of the call log."""
    return f'<log message="[timestamp]|{event}|[call_number]|{who}|{detail}"/>'


def number(variable: str, field: int) -> str:
    """An action: read a column of the injection file as a number."""
    return (
        f'<assignstr assign_to="{variable}_text" value="[field{field}]"/>'
        f'<todouble assign_to="{variable}" variable="{variable}_text"/>'
    )


def now(variable: str) -> str:
    """An action: wall clock in ms (SIPp has no other clock for scenarios)."""
    return (
        f'<gettimeofday assign_to="{variable},{variable}_us"/><multiply assign_to="{variable}" value="1000"/>'
        f'<divide assign_to="{variable}_us" value="1000"/><add assign_to="{variable}" variable="{variable}_us"/>'
    )


def fence(*kinds: str) -> str:
    """Steps nobody gets to: from later ones, messages of these kinds are taken and nothing changes."""
    return "".join(f'  <recv {kind} optional="global" advance_state="false"/>\n' for kind in kinds) + f"  {NEVER}\n"


def fail_unless_zero(variable: str) -> str:
    """An action: the call counts as failed, and goes on, when ``variable`` is not 0. For receptions and nops only."""
    return f'<test assign_to="fine" variable="{variable}" compare="equal" value="0" check_it="true"/>'


def compute(action: str, attributes: str = "") -> str:
    """Do ``action``; ``attributes`` may hold a jump, and its test sees what ``action`` did."""
    return f'  <pause milliseconds="0" {attributes}><action>{action}</action></pause>\n'


def wait_until(deadline: str, over: str) -> str:
    """Wait for the rest of the time up to ``deadline`` and go on at label ``over``, also when it has passed."""
    left = (
        f'{now("now")}<assign assign_to="left" variable="{deadline}"/><subtract assign_to="left" variable="now"/>'
        '<test assign_to="late" variable="left" compare="less_than" value="1"/>'
    )
    return f"""
{compute(left, f'next="{over}" test="late"')}
  <pause variable="left" next="{over}"/>
"""


def far_end(contact: str, resume: str) -> str:
    """Labels ``far_end_bye``, ``reinvite`` (a new offer within the dialog, then on at ``resume``) and ``stray``."""
    return f"""
{fence('response="200"')}
  <label id="far_end_bye"/>
{send(response("200 OK", NO_BODY), 'counter="far_end_hung_up" next="end"')}
  <label id="reinvite"/>
{send_with_sdp(response("200 OK", contact), RETRANSMITTED)}
  <recv request="BYE" optional="true" next="far_end_bye"/>
  <recv request="ACK" next="{resume}"/>
  <label id="stray"/>
{send(response("481 Call/Transaction Does Not Exist", NO_BODY), 'counter="stray" next="end"')}
"""


def hang_up(bye: str, who: str) -> str:
    """Label ``hang_up``: send BYE and end, also when the other side's crosses it, or its dialog is gone already (481).

    The crossing BYE may come after the answer to ours.
    """
    answers = ('response="200" response_txn="bye"', 'response="481" response_txn="bye"')
    return f"""
  <label id="hang_up"/>
{send(bye, f'{RETRANSMITTED} start_txn="bye" counter="hung_up"', log("hung_up", who))}
  <recv request="BYE" optional="global" next="crossed"/>
  <recv response="200" optional="true" response_txn="bye" next="linger"/>
  <recv response="481" optional="true" response_txn="bye" next="linger"/>
{fence('response="200"', *answers, 'request="INVITE"')}
  <label id="crossed"/>
{send(response("200 OK", NO_BODY), 'next="end"')}
  <label id="linger"/>
  <pause milliseconds="{_LINGER_MS}"/>
"""


def end(who: str) -> str:
    """Label ``end``, the last of every scenario."""
    return f"""
  <label id="end"/>
  <nop><action>{log("ended", who)}</action></nop>
"""
