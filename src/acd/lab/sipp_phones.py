"""The SIPp scenarios of lab phones and of their registrations: text only, made from behaviours."""

from __future__ import annotations

from acd.lab.behaviours import NOW, Absent, Answers, PhoneBehaviour, Refuses, RingsForEver, Silent
from acd.lab.sipp_xml import (
    NEVER,
    NO_BODY,
    RETRANSMITTED,
    VIA,
    end,
    fail_unless_zero,
    far_end,
    fence,
    hang_up,
    lines,
    log,
    now,
    number,
    response,
    scenario,
    send,
    send_with_sdp,
    wait_until,
)

PHONE_FIELDS = ("after_ms", "talk_ms")
"""Columns of the phones' injection file: time to the reaction, time from the answer to the end."""
REGISTER_FIELDS = ("user", "secret", "contact_port", "expires_s")
"""Columns of the registrations' injection file."""

_AFTER_REFER_MS = 300
"""How long a phone that has sent the other side away leaves the hang-up to Asterisk."""
_WHO = "[$phone]"
_TAG = ";tag=[pid]p[call_number]"
_CONTACT = f"Contact: <sip:{_WHO}@[local_ip]:[local_port]>"


def _request(method: str, *more: str) -> str:
    return lines(
        f"{method} [next_url] SIP/2.0",
        VIA,
        "[routes]",
        f"From:[$local]{_TAG}",
        "To:[$remote]",
        "Call-ID: [call_id]",
        f"CSeq: [cseq] {method}",
        _CONTACT,
        "Max-Forwards: 70",
        *more,
    )


def phone_scenario(behaviour: PhoneBehaviour) -> str:
    """The scenario of phones with ``behaviour``; its durations stand in the injection file (`PHONE_FIELDS`).

    Any number of phones share it: a phone goes by the user part of the To header. OPTIONS are answered, so the phones
    may be qualified. ValueError for `Absent`, which nothing plays.
    """
    match behaviour:
        case Absent():
            raise ValueError("an absent phone has no scenario: nothing listens at its address")
        case Silent():
            act, talk = '  <nop next="end" counter="ignored"/>\n', ""
        case RingsForEver():
            act, talk = f"{_RING}  {NEVER}\n", ""
        case Refuses(code):
            act, talk = _refuse_part(code, behaviour.after == NOW), ""
        case Answers():
            act, talk = _answer_part(behaviour.after == NOW), _talk_part(behaviour)
    body = f"""
  <recv request="OPTIONS" optional="true" next="options"/>
  <recv request="BYE" optional="true" next="stray"/>
  <recv request="CANCEL" optional="true" next="stray"/>
  <recv request="ACK" optional="true" next="stray_ack"/>
  <recv request="INVITE" rrs="true" next="begin" counter="offered"><action><assign assign_to="acked" value="0"/>
    <ereg regexp="sip:([^@;:]+)@" search_in="hdr" header="To:" check_it="true" assign_to="found,phone"/>
    <ereg regexp=".*" search_in="hdr" header="To:" assign_to="local"/>
    <ereg regexp=".*" search_in="hdr" header="From:" assign_to="remote"/>
    {number("after", 0)}{number("talk", 1)}{log("offered", _WHO)}</action></recv>
  <recv request="CANCEL" optional="global" next="cancel"/>
{fence('request="INVITE"')}
  <label id="begin"/>
{act}
{_cancelled_part()}
{_strays_part()}
{talk}
{far_end(_CONTACT, "resume" if isinstance(behaviour, Answers) else "end")}
{hang_up(_request("BYE", NO_BODY), _WHO)}
{end(_WHO)}
"""
    fine = ",fine" if isinstance(behaviour, Answers) and behaviour.transfer_to is not None else ""
    return scenario("acd phone", body, f"found,phone,local,remote,after,talk,acked{fine}")


_FAR_END_BYE = f'next="far_end_bye"><action>{log("far_end_hung_up", _WHO)}</action></recv>'
_RING = send(response("180 Ringing", _CONTACT, NO_BODY, tag=_TAG))
_LATE = fence('request="CANCEL"', 'request="INVITE"') + (
    '  <recv request="ACK" optional="global" advance_state="false">'
    '<action><assign assign_to="acked" value="1"/></action></recv>\n'
    f'  <recv request="BYE" optional="global" {_FAR_END_BYE}\n  {NEVER}\n'
)
"""After a final response: what is repeated changes nothing, but the ACK may come while a CANCEL is being answered."""


def _strays_part() -> str:
    return f"""
  <label id="options"/>
{send(response("200 OK", NO_BODY, tag=_TAG), 'counter="qualified" next="end"')}
  <label id="stray_ack"/>
  <nop counter="stray" next="end"/>
"""


def _cancelled_part() -> str:
    """The caller gave up: 200 to CANCEL; 487 to INVITE, made from its CANCEL, which has the same Via and CSeq number."""
    last = ("[last_Via:]", "[last_From:]", f"[last_To:]{_TAG}", "[last_Call-ID:]")
    terminated = lines("SIP/2.0 487 Request Terminated", *last, "CSeq: [last_cseq_number] INVITE", NO_BODY)
    return f"""
{_LATE}
  <label id="cancel"/>
{send(response("200 OK", NO_BODY, tag=_TAG))}
{send(terminated, f'{RETRANSMITTED} counter="cancelled" next="cancelled"', log("cancelled", _WHO))}
{_final_part("cancelled", _END)}
"""


def _final_part(label: str, ack: str) -> str:
    """At ``label``: a final response is out; wait for its ACK, received by ``ack``.

    A CANCEL that comes now is answered and changes nothing; the ACK may come together with it. Only a BYE says that the
    ACK was lost.
    """
    return f"""
{_LATE}
  <label id="cancel_again_{label}"/>
{send(response("200 OK", NO_BODY, tag=_TAG), f'next="acked_{label}" test="acked"')}
  <label id="{label}"/>
  <recv request="BYE" optional="true" {_FAR_END_BYE}
  <recv request="CANCEL" optional="true" next="cancel_again_{label}"/>
  <recv request="INVITE" optional="true" advance_state="false"/>
  <recv request="ACK" {ack}</recv>
  <label id="acked_{label}"/>
  <pause milliseconds="0" {ack}</pause>
"""


_END = 'next="end"><action><assign assign_to="acked" value="1"/></action>'


def _refuse_part(code: int, at_once: bool) -> str:
    refusal = response(f"{code} Refused", NO_BODY, tag=_TAG)
    pause = "" if at_once else '  <pause variable="after"/>\n'
    return f"""{_RING}{pause}
{send(refusal, f'{RETRANSMITTED} counter="refused" next="refused"', log("refused", _WHO))}
{_final_part("refused", _END)}
"""


def _answer_part(at_once: bool) -> str:
    """Every step costs up to a millisecond, so a phone that answers at once does not pause for no time."""
    pause = "" if at_once else '  <pause variable="after"/>\n'
    action = f'{now("deadline")}<add assign_to="deadline" variable="talk"/>{log("answered", _WHO)}'
    return f"""{_RING}{pause}
{send_with_sdp(response("200 OK", _CONTACT, tag=_TAG), f'{RETRANSMITTED} next="answered"')}
{_final_part("answered", f'counter="answered" next="resume"><action>{action}</action>')}
"""


def _talk_part(behaviour: Answers) -> str:
    if behaviour.talk is None and behaviour.transfer_to is None:
        act = f"  {NEVER}\n"
    elif behaviour.transfer_to is None:
        act = wait_until("deadline", "hang_up")
    else:
        act = wait_until("deadline", "transfer") + _transfer_part(behaviour.transfer_to)
    return f"""
{_LATE}
  <recv request="INVITE" optional="global" next="reinvite"/>
  {NEVER}
  <label id="resume"/>
{act}
"""


def _transfer_part(extension: str) -> str:
    """REFER the other side away; then hang up, as phones do, unless Asterisk was faster. A refusal counts as failed."""
    refer = _request(
        "REFER",
        f"Refer-To: <sip:{extension}@[remote_ip]:[remote_port]>",
        f"Referred-By: <sip:{_WHO}@[local_ip]>",
        NO_BODY,
    )
    return f"""
  <label id="transfer"/>
{send(refer, f'{RETRANSMITTED} start_txn="refer" counter="transferred"', log("transferred", _WHO, extension))}
  <recv request="BYE" optional="true" {_FAR_END_BYE}
  <recv response="202" optional="true" response_txn="refer" next="referred"/>
  <recv response="^[3-6][0-9][0-9]$" regexp_match="true" optional="true" response_txn="refer" next="not_referred"/>
{fence('response="202" response_txn="refer"', 'response="481" response_txn="refer"')}
  <label id="not_referred"/>
  <nop next="hang_up"><action><assign assign_to="one" value="1"/>{fail_unless_zero("one")}</action></nop>
  <label id="referred"/>
  <pause milliseconds="{_AFTER_REFER_MS}" next="hang_up"/>
"""


def register_scenario() -> str:
    """Register (or, with ``expires_s`` 0, un-register) the contact of each line of the injection file, with digest."""

    def request(*more: str) -> str:
        return lines(
            "REGISTER sip:[remote_ip]:[remote_port] SIP/2.0",
            VIA,
            "From: <sip:[field0]@[remote_ip]:[remote_port]>;tag=[pid]r[call_number]",
            "To: <sip:[field0]@[remote_ip]:[remote_port]>",
            "Call-ID: [call_id]",
            "CSeq: [cseq] REGISTER",
            "Contact: <sip:[field0]@[local_ip]:[field2]>",
            "Expires: [field3]",
            "Max-Forwards: 70",
            *more,
            NO_BODY,
        )

    identity = "[authentication username=[field0] password=[field1]]"
    body = f"""
{send(request(), f'{RETRANSMITTED} start_txn="first" counter="placed"')}
  <recv response="200" optional="true" response_txn="first" next="end"/>
  <recv response="401" response_txn="first" auth="true"/>
{send(request(identity), f'{RETRANSMITTED} start_txn="second"')}
  <recv response="200" response_txn="second"/>
  <label id="end"/>
  <nop counter="registered"><action>{log("registered", "[field0]", "[field3]")}</action></nop>
"""
    return scenario("acd registration", body)
