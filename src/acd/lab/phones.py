"""The phones of a lab: who they are, and what Asterisk's pjsip.conf says of them.

No processes here: `phone_bank` runs them. How they behave is `behaviours`'.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field

from acd.domain.errors import ConfigurationError
from acd.domain.values import valueclass
from acd.lab.behaviours import Answers, PhoneBehaviour

MAX_CONTACTS = 5
"""How many places one phone may be registered at, or have as static contacts."""
MAX_PHONES = 10_000
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_TEMPLATE = "lab-phone"


@valueclass(frozen=True, slots=True)
class Phone:
    """One place where a PJSIP endpoint rings. Several of one name are one endpoint with several contacts.

    A phone that ``registers`` proves itself by ``secret``, also when it calls; the others are static contacts that
    Asterisk believes.
    """

    name: str
    behaviour: PhoneBehaviour = field(default_factory=Answers)
    registers: bool = False
    secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(f"{self.name!r} is no phone's name: up to 40 letters, digits, dots, - and _")
        if self.registers and not self.secret:
            raise ConfigurationError(f"phone {self.name} registers, so it needs a secret")
        if not re.fullmatch(r"[A-Za-z0-9_.-]{0,128}", self.secret):
            raise ConfigurationError(f"phone {self.name}: a secret is made of letters, digits, dots, - and _")

    @property
    def device(self) -> str:
        """How Asterisk dials it."""
        return f"PJSIP/{self.name}"


def make_phones(
    count: int,
    *,
    first: int = 1001,
    prefix: str = "",
    behaviour: PhoneBehaviour | None = None,
    registers: bool = False,
) -> list[Phone]:
    """``count`` phones named ``prefix`` and ``first``, ``first + 1``... that all do the same (answer, unless told)."""
    if not 1 <= count <= MAX_PHONES:
        raise ConfigurationError(f"1 to {MAX_PHONES} phones, not {count}")
    does = behaviour if behaviour is not None else Answers()
    return [
        Phone(f"{prefix}{number}", does, registers, secrets.token_hex(16) if registers else "")
        for number in range(first, first + count)
    ]


def endpoints_conf(phones: Iterable[Phone], sipp_port_of: Callable[[Phone], int], *, context: str = "agents") -> str:
    """The pjsip.conf text of ``phones``: one endpoint, address of record and, if they register, login for each name.

    ``sipp_port_of`` says at which local UDP port the SIPp that plays a phone listens. ``context`` is where calls from
    the phones enter the dialplan. ConfigurationError when phones of one name contradict each other.
    """
    names: dict[str, list[Phone]] = {}
    for phone in phones:
        names.setdefault(phone.name, []).append(phone)
    sections = [_template(context)]
    for name, contacts in names.items():
        _check_contacts(name, contacts)
        registers, secret = contacts[0].registers, contacts[0].secret
        endpoint = [f"[{name}]({_TEMPLATE})", f"aors={name}", f'callerid="Agent {name}" <{name}>']
        aor = [f"[{name}]", "type=aor", f"max_contacts={MAX_CONTACTS}", "qualify_frequency=0"]
        if registers:
            endpoint.append(f"auth={name}")
            aor += ["minimum_expiration=1", "remove_existing=no"]
            sections.append(f"[{name}]\ntype=auth\nauth_type=userpass\nusername={name}\npassword={secret}\n")
        else:
            aor += [f"contact=sip:{name}@127.0.0.1:{sipp_port_of(contact)}" for contact in contacts]
        sections += ["\n".join(endpoint) + "\n", "\n".join(aor) + "\n"]
    return "\n".join(sections)


def _template(context: str) -> str:
    """What all phones have in common: signalling as quiet as it gets, and media through Asterisk."""
    return f"""[{_TEMPLATE}](!)
type=endpoint
context={context}
disallow=all
allow=ulaw
direct_media=no
dtmf_mode=auto_info
rtp_symmetric=no
rewrite_contact=no
timers=no
refer_blind_progress=no
send_connected_line=no
trust_id_outbound=no
identify_by=username
device_state_busy_at=1
"""


def _check_contacts(name: str, contacts: Sequence[Phone]) -> None:
    if len({(contact.registers, contact.secret) for contact in contacts}) > 1:
        raise ConfigurationError(
            f"the phones named {name} are one endpoint: all of them register, with one secret, or none"
        )
    if len(contacts) > MAX_CONTACTS:
        raise ConfigurationError(f"{len(contacts)} phones are named {name}; an endpoint has {MAX_CONTACTS} at most")
