"""The words SIPp scenarios are made of (XML text); the scenarios are `sipp_callers`' and `sipp_phones`'.

How they are built, because SIPp leaves room for calls that fail by themselves:

- SIPp runs one step of a call, then listens, for up to a millisecond; a message it does not expect at its present step
  fails the call. So whatever may come at any time (BYE, CANCEL, a new offer, answers to the INVITE) is a *global*
  optional reception near the top with a jump, and every wait is a pause that such a message cuts short.
- Global receptions are found from every later step, so the step that follows a request must be a later one: requests
  jump to their wait instead of passing a ``nop``.
- Flags that decide what a message means are set in the reception's own action, which runs at once. But a reception's
  ``test`` is made after its action.
- A reception above the request that is being retransmitted does not stop its retransmission, and SIPp sends nothing
  else meanwhile. So where we wait for an answer to a request of ours, BYE and CANCEL are received there as well.
- Packets are lost, when a busy machine overflows a socket's buffer: an ACK that never comes may be followed by a BYE.
- An optional reception without a jump moves on to the step below it, so one that shall change nothing says
  ``advance_state="false"``.
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


def fail_unless_zero(variable: str) -> str:
    """An action: the call counts as failed, and goes on, when ``variable`` is not 0."""
    return f'<test assign_to="fine" variable="{variable}" compare="equal" value="0" check_it="true"/>'


def wait_until(deadline: str, over: str) -> str:
    """Wait for the rest of the time up to ``deadline`` and go on at label ``over``, also when it has passed."""
    return f"""
  <nop next="{over}" test="late"><action>{now("now")}
    <assign assign_to="left" variable="{deadline}"/><subtract assign_to="left" variable="now"/>
    <test assign_to="late" variable="left" compare="less_than" value="1"/></action></nop>
  <pause variable="left" next="{over}"/>
"""


def far_end(contact: str, resume: str) -> str:
    """Labels ``far_end_bye``, ``reinvite`` (a new offer within the dialog, then on at ``resume``) and ``stray``."""
    return f"""
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

    The crossing BYE may come after the answer to ours. Goes at the end, since its reception of BYE is meant for no
    step of another part.
    """
    sent = f'<assign assign_to="up" value="0"/><assign assign_to="alone" value="1"/>{log("hung_up", who)}'
    return f"""
  <label id="hang_up"/>
{send(bye, f'{RETRANSMITTED} start_txn="bye" counter="hung_up"', sent)}
  <recv request="BYE" optional="global" next="crossed"><action><assign assign_to="alone" value="0"/></action></recv>
  <recv response="200" optional="global" response_txn="bye" next="linger" test="alone"/>
  <recv response="481" optional="global" response_txn="bye" next="linger" test="alone"/>
  {NEVER}
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
