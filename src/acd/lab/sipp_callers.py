"""The SIPp scenario of lab callers: text only; what differs from call to call stands in the injection file."""

from __future__ import annotations

from acd.lab.sipp_xml import (
    FINAL_WAIT_MS,
    NEVER,
    NO_BODY,
    RETRANSMITTED,
    VIA,
    compute,
    end,
    fail_unless_zero,
    far_end,
    fence,
    hang_up,
    lines,
    log,
    now,
    number,
    scenario,
    send,
    send_with_sdp,
    wait_until,
)

CALLER_FIELDS = (
    *("did", "number", "name", "wait_ms", "wait_is_limit", "talk_ms", "talk_is_limit", "held"),
    *("keys", "script", "user", "secret"),
)
"""Columns of the injection file. A time that *is a limit* fails the call when it runs out; ``held`` (0 or 1) counts
the talk from the INVITE; ``keys`` is how many ``script`` has, each five digits (a pause in ms) and the key."""
MARK = "X-Acd-Lab"
"""Header of every lab caller's INVITE."""

_COLUMN = {name: index for index, name in enumerate(CALLER_FIELDS)}
_DID, _USER, _SECRET = (f"[field{_COLUMN[name]}]" for name in ("did", "user", "secret"))
_CALLEE = f"sip:{_DID}@[remote_ip]:[remote_port]"
_CONTACT = "Contact: <sip:lab@[local_ip]:[local_port]>"
_REFUSAL = 'response="^[3-6][0-9][0-9]$" regexp_match="true"'


def _request(method: str, *more: str, in_dialog: bool, via_suffix: str = "", to_tag: bool = True) -> str:
    uri = "[next_url]" if in_dialog else _CALLEE
    number_field = f"[field{_COLUMN['number']}]"
    return lines(
        f"{method} {uri} SIP/2.0",
        VIA + via_suffix,
        "[routes]" if in_dialog else "",
        f'From: "[$name]" <sip:{number_field}@[local_ip]:[local_port]>;tag=[pid]c[call_number]',
        f"To: <{_CALLEE}>" + ("[peer_tag_param]" if to_tag else ""),
        "Call-ID: [call_id]",
        f"CSeq: [cseq] {method}",
        _CONTACT,
        "Max-Forwards: 70",
        *more,
    )


def caller_scenario(*, authenticates: bool = False, expects_refusal: bool = False) -> str:
    """The scenario of callers.

    ``authenticates``: the far end challenges (401, 407) and the columns user and secret answer.
    ``expects_refusal``: a refusal is the end wanted, an answer is hung up and counted as failed; without it the other
    way round.
    """
    ack_refusal = _request("ACK", NO_BODY, in_dialog=False)
    ack_answer = _request("ACK", NO_BODY, in_dialog=True, via_suffix="-ack")
    invite = _request("INVITE", f"{MARK}: caller", in_dialog=False, to_tag=False)
    begins = 'counter="placed" start_rtd="answer" next="wait"'
    refused = f'\n  <recv {_REFUSAL} optional="global" next="refused"><action>{log("refused", _DID)}</action></recv>'
    unlimited = 'variable="limited" compare="equal" value="0"'
    body = f"""
  <nop><action>{_read_fields()}</action></nop>
{send_with_sdp(invite, f"{RETRANSMITTED} {begins}", log("placed", _DID))}
{_challenge_part(ack_refusal) if authenticates else ""}
  <recv response="^1[0-9][0-9]$" regexp_match="true" optional="global" advance_state="false"/>
  <recv response="200" optional="global" rrs="true" rtd="answer" next="answered">
    <action>{log("answered", _DID)}{fail_unless_zero("one") if expects_refusal else ""}</action></recv>
  <recv request="BYE" optional="global" {_FAR_END_BYE}{refused if expects_refusal else ""}
  {NEVER}
  <label id="wait"/>
  <pause variable="wait" next="wait_limit" test="wait_limited"/>
{_give_up_part(ack_refusal, ack_answer)}
{_refused_part(ack_refusal) if expects_refusal else ""}
{_answered_part(ack_answer, "hang_up" if expects_refusal else "keys")}
{_keys_part()}
  <label id="resume"/>
{wait_until("deadline", "over")}
  <label id="over"/>
{compute(f'<test assign_to="fine" {unlimited}/>', 'next="hang_up" test="fine"')}
  <nop next="hang_up"><action>{fail_unless_zero("limited")}</action></nop>
{far_end(_CONTACT, "resume")}
{hang_up(_request("BYE", NO_BODY, in_dialog=True), _DID)}
{end(_DID)}
"""
    return scenario("acd caller", body, "fine,one,found")


_FAR_END_BYE = f'next="far_end_bye"><action>{log("far_end_hung_up", _DID)}</action></recv>'


def _read_fields() -> str:
    numbers = {
        "wait": "wait_ms",
        "wait_limited": "wait_is_limit",
        "talk": "talk_ms",
        "limited": "talk_is_limit",
        "held": "held",
        "keys": "keys",
    }
    return (
        f'<assignstr assign_to="name" value="[field{_COLUMN["name"]}]"/><urldecode variable="name"/>'
        + "".join(number(variable, _COLUMN[column]) for variable, column in numbers.items())
        + f'<assignstr assign_to="script" value="[field{_COLUMN["script"]}]"/>'
        f'<assignstr assign_to="gap_text" value="0"/><assign assign_to="one" value="1"/>{now("began")}'
    )


def _challenge_part(ack: str) -> str:
    """Receive a challenge, acknowledge it and call again with the answer. The receptions come after both INVITEs."""
    identity = f"[authentication username={_USER} password={_SECRET}]"
    invite = _request("INVITE", identity, f"{MARK}: caller", in_dialog=False, to_tag=False)
    receptions = "".join(
        f'  <recv response="{code}" optional="global" auth="true" next="challenged"/>\n' for code in (401, 407)
    )
    return f"""
  <label id="challenged"/>
{send(ack)}
{send_with_sdp(invite, f'{RETRANSMITTED} next="wait"')}
{receptions}"""


def _refused_part(ack: str) -> str:
    return f"""
  <label id="refused"/>
{send(ack, 'counter="refused" next="end"')}
"""


def _answered_part(ack: str, then: str) -> str:
    """The first 200 starts the talk; a repeated one (our ACK was lost) is acknowledged and the talk goes on.

    The talk ends at now + talk, or at began + talk when held: now + held * (began - now) + talk.
    """
    begin = f"""{now("deadline")}<assign assign_to="earlier" variable="began"/>
    <subtract assign_to="earlier" variable="deadline"/><multiply assign_to="earlier" variable="held"/>
    <add assign_to="deadline" variable="earlier"/><add assign_to="deadline" variable="talk"/>"""
    return f"""
  <label id="answered"/>
{send(ack, f'counter="answered" next="{then}"', begin)}
  <recv response="200" optional="global" next="answered_again"/>
  <recv request="BYE" optional="global" {_FAR_END_BYE}
  <recv request="INVITE" optional="global" next="reinvite"/>
  {NEVER}
  <label id="answered_again"/>
{send(ack, 'next="keys"')}
"""


def _keys_part() -> str:
    """Press the keys of ``script``, one SIP INFO each. What is left of them is taken apart in one step."""
    head = ("Content-Type: application/dtmf-relay", "Content-Length: [len]")
    info = _request("INFO", *head, in_dialog=True) + "\n\n" + lines("      Signal=[$key]", "Duration=100")
    take = """<test assign_to="done" variable="keys" compare="less_than" value="1"/>
    <assignstr assign_to="todo" value="[$script]"/>
    <ereg regexp="^([0-9]{5})(.)(.*)$" search_in="var" variable="todo" assign_to="found,gap_text,key,script"/>
    <todouble assign_to="gap" variable="gap_text"/><subtract assign_to="keys" value="1"/>"""
    return f"""
  <label id="keys"/>
{compute(take, 'next="resume" test="done"')}
  <pause variable="gap"/>
{send(info, f'{RETRANSMITTED} start_txn="info"')}
  <recv request="BYE" optional="true" {_FAR_END_BYE}
  <recv response="200" optional="true" response_txn="info" next="keys"/>
{fence('response="200" response_txn="info"', 'response="481" response_txn="info"', 'response="200"')}
"""


def _give_up_part(ack_refusal: str, ack_answer: str) -> str:
    """CANCEL; 487 ends the call. An answer that crosses the CANCEL is acknowledged and hung up at once."""
    cancel = _request("CANCEL", NO_BODY, in_dialog=False, to_tag=False)
    invite_over = f"""
  <recv response="200" optional="true" rrs="true" next="glare"/>
  <recv {_REFUSAL} optional="true" next="cancelled"/>"""
    late = ('response="200"', _REFUSAL, 'response="200" response_txn="cancel"', 'response="481" response_txn="cancel"')
    return f"""
  <label id="give_up"/>
{send(cancel, f'{RETRANSMITTED} start_txn="cancel" counter="gave_up"', log("gave_up", _DID))}
{invite_over}
  <recv response="200" optional="true" response_txn="cancel" next="final"/>
  <recv response="481" optional="true" response_txn="cancel" next="final"/>
  {NEVER}
  <label id="final"/>
{invite_over}
  <recv request="NEVER" timeout="{FINAL_WAIT_MS}"/>
{fence(*late)}
  <label id="wait_limit"/>
  <nop next="give_up"><action>{fail_unless_zero("wait_limited")}</action></nop>
  <label id="cancelled"/>
{send(ack_refusal, 'next="end"')}
  <label id="glare"/>
{send(ack_answer, 'next="hang_up"')}
"""
