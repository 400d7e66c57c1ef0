"""The configuration tree of one private Asterisk, as text: every directory, port and user of its own.

Pure: arguments in, file names and their text out. Starting and stopping is `asterisk`'s business; phones are described
elsewhere and come in as text, the dialplan as files that are included where they lie.
"""

from __future__ import annotations

import contextlib
import random
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from acd.domain.errors import LabError
from acd.domain.values import valueclass

#: The context callers arrive in, and the one phones dial out from.
TRUNK_CONTEXT = "from-trunk"
PHONE_CONTEXT = "agents"

#: What the event session of an ACD needs of the manager interface; nothing else is worth the reader's time.
ACD_EVENTS = (
    *("Newchannel", "Hangup", "DialBegin", "DialState", "DialEnd", "BridgeEnter", "BridgeLeave", "OriginateResponse"),
    *("UserEvent", "DTMFEnd", "DeviceStateChange", "ContactStatus", "BlindTransfer", "AttendedTransfer"),
    *("Hold", "Unhold", "FullyBooted", "Shutdown"),
)

#: The columns of the file of channel events, and what Asterisk calls them.
CEL_COLUMNS = {
    "time": "eventtime",
    "event": "eventtype",
    "uniqueid": "CHANNEL(uniqueid)",
    "linkedid": "CHANNEL(linkedid)",
    "channel": "CHANNEL(channame)",
    "context": "CHANNEL(context)",
    "exten": "CHANNEL(exten)",
    "app": "CHANNEL(appname)",
    "caller_id": "CALLERID(num)",
    "extra": "eventextra",
}

# Modules that want hardware, a configuration of their own or a service elsewhere; without them the log is quiet.
_NOT_LOADED = (
    *("chan_alsa", "chan_console", "chan_dahdi", "chan_iax2", "chan_mgcp", "chan_motif", "chan_ooh323", "chan_oss"),
    *("chan_phone", "chan_sip", "chan_skinny", "chan_unistim", "chan_mobile", "chan_vpb", "app_dahdiras", "app_meetme"),
    *("codec_dahdi", "res_timing_dahdi", "app_voicemail_imap", "app_voicemail_odbc", "app_voicemail", "app_festival"),
    *("res_config_ldap", "res_config_odbc", "res_config_pgsql", "res_config_sqlite3", "res_config_curl", "res_odbc"),
    *("res_odbc_transaction", "func_odbc", "cdr_odbc", "cdr_adaptive_odbc", "cdr_pgsql", "cdr_radius", "cdr_tds"),
    *("cdr_sqlite3_custom", "cdr_csv", "cdr_syslog", "cel_odbc", "cel_pgsql", "cel_radius", "cel_tds"),
    *("cel_sqlite3_custom", "res_snmp", "res_xmpp", "res_calendar", "res_calendar_caldav", "res_calendar_ews"),
    *(
        "res_calendar_exchange",
        "res_calendar_icalendar",
        "res_corosync",
        "res_phoneprov",
        "res_pjsip_phoneprov_provider",
    ),
    *("res_fax", "res_fax_spandsp", "res_adsi", "app_adsiprog", "app_getcpeid", "res_smdi", "res_statsd", "pbx_dundi"),
    *("pbx_lua", "pbx_ael", "pbx_realtime", "res_hep", "res_hep_pjsip", "res_hep_rtcp", "res_stir_shaken"),
    *("res_geolocation", "res_pjsip_geolocation", "res_aeap", "res_speech_aeap", "app_ices", "app_jack"),
    *("app_alarmreceiver", "app_minivm", "app_sms", "app_zapateller", "res_http_post", "res_prometheus"),
    *("res_stun_monitor", "res_pjsip_notify", "res_http_media_cache", "cdr_custom", "cdr_manager"),
    *("res_pjsip_stir_shaken", "res_resolver_unbound", "res_tonedetect", "app_test", "res_clialiases"),
)


@valueclass(frozen=True, slots=True)
class AsteriskPorts:
    """The loopback ports of one instance; ``rtp_from``..``rtp_to`` is the range for media."""

    sip: int
    ami: int
    rtp_from: int
    rtp_to: int

    @classmethod
    def free(cls, *, low: int = 20_000, high: int = 31_999, rtp_ports: int = 2_000) -> AsteriskPorts:
        """Ports between ``low`` and ``high`` that nobody uses now. Two instances may share media ports: Asterisk
        passes over those in use. Servers are in the upper sixth, where no instance looks for media: what is free now may
        be another's medium a moment later."""
        servers = high - (high - low) // 6
        sip, ami = free_ports(2, low=servers, high=high)
        span = range(low, servers + 1 - rtp_ports, 2)
        if not span:
            raise LabError(f"ports {low}-{high} have no room for {rtp_ports} media ports")
        rtp_from = random.choice(span)
        return cls(sip, ami, rtp_from, rtp_from + rtp_ports - 1)


_given: deque[socket.socket] = deque()
_MAX_GIVEN = 100


def free_ports(count: int, *, low: int = 20_000, high: int = 31_999) -> list[int]:
    """``count`` different ports of 127.0.0.1 that are free for TCP and UDP alike at this moment.

    Whoever asks for one listens there a little later: nobody on this machine is given it meanwhile, until this process has
    asked for a hundred more or is over.
    """
    candidates = list(range(low, high + 1))
    random.shuffle(candidates)
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            break
        mark = _marked(port)
        if mark is not None:
            found.append(port)
            _given.append(mark)
    while len(_given) > _MAX_GIVEN:
        _given.popleft().close()
    if len(found) < count:
        raise LabError(f"ports {low}-{high} of this machine have no {count} free ones; stop what holds them")
    return found


class PortBlock:
    """``length`` consecutive ports of 127.0.0.1 from ``first`` on, free now and given to nobody else on this machine
    until `release`: whoever takes them one by one, later, finds them as they were."""

    def __init__(self, length: int, *, low: int, high: int) -> None:
        firsts = list(range(low, high + 2 - length, length))
        random.shuffle(firsts)
        self._marks: list[socket.socket] = []
        for first in firsts:
            for port in range(first, first + length):
                mark = _marked(port)
                if mark is None:
                    break
                self._marks.append(mark)
            else:
                self.first = first
                return
            self.release()
        raise LabError(f"ports {low}-{high} of this machine have no {length} free ones in a row; stop what holds them")

    def __enter__(self) -> PortBlock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let others have it."""
        while self._marks:
            self._marks.pop().close()


def _marked(port: int) -> socket.socket | None:
    """What keeps the port from everybody who asks here, until it is closed; None when it is taken, or not free."""
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with contextlib.suppress(OSError):
        # A name in the kernel's abstract namespace goes with the process that holds it
        mark.bind(f"\0acd-lab-port-{port}")
        if is_free(port):
            return mark
    mark.close()
    return None


def is_free(port: int) -> bool:
    """Whether nobody holds the port of 127.0.0.1, be it for TCP or UDP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind is socket.SOCK_STREAM:
                # As servers do, pass over connections that were closed a moment ago; a listener still counts.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


@valueclass(frozen=True, slots=True)
class AmiUser:
    """A user of the manager interface. ``events`` is an allow-list of event names; empty lets all of ``read`` pass."""

    name: str
    secret: str = field(repr=False)
    read: str = ""
    write: str = ""
    events: tuple[str, ...] = ()
    many_logins: bool = False

    @classmethod
    def for_calls(cls, name: str, secret: str) -> AmiUser:
        """The user an ACD hears of calls by, and moves them by: only the events it can use, no command, config or system."""
        return cls(name, secret, read="call,user,dtmf,system", write="call,originate,user,agent", events=ACD_EVENTS)

    @classmethod
    def for_looks(cls, name: str, secret: str) -> AmiUser:
        """The user an ACD looks by at what is there: lists, nothing else."""
        return cls(name, secret, write="reporting")

    @classmethod
    def for_commands(cls, name: str, secret: str) -> AmiUser:
        """The session that can end others (``manager kick session``), for taking over from a controller that hangs."""
        return cls(name, secret, write="command")


@valueclass(frozen=True, slots=True)
class AsteriskOptions:
    """What a test or a benchmark may want otherwise than usual.

    ``queues`` is the text of queues.conf. ``cel`` writes every channel event to log/cel-custom/events.csv. ``verbose``
    is the level of the full log (0: no such log). ``system_name`` goes in front of every Uniqueid. ``globals`` are
    variables of the dialplan.
    """

    queues: str = ""
    cel: bool = False
    verbose: int = 0
    system_name: str = ""
    globals: Mapping[str, str] = field(default_factory=dict)
    pjsip_global: Mapping[str, str] = field(default_factory=dict)
    manager_general: Mapping[str, str] = field(default_factory=dict)
    trunk: Mapping[str, str] = field(default_factory=dict)


@valueclass(frozen=True, slots=True)
class Tree:
    """The folders of one instance. ``data`` and ``modules`` belong to the program, the others to the instance."""

    etc: Path
    var: Path
    spool: Path
    log: Path
    run: Path
    modules: Path
    data: Path
    sbin: Path


def asterisk_conf(tree: Tree, options: AsteriskOptions, max_files: int) -> str:
    directories = {
        "astcachedir": tree.var / "cache",
        "astetcdir": tree.etc,
        "astmoddir": tree.modules,
        "astvarlibdir": tree.var,
        "astdbdir": tree.var,
        "astkeydir": tree.var,
        "astdatadir": tree.data,
        "astagidir": tree.var / "agi-bin",
        "astspooldir": tree.spool,
        "astrundir": tree.run,
        "astlogdir": tree.log,
        "astsbindir": tree.sbin,
    }
    settings = {"defaultlanguage": "en", "maxfiles": str(max_files), "hideconnect": "yes", "nocolor": "yes"}
    if options.system_name:
        settings["systemname"] = options.system_name
    if options.verbose:
        settings["verbose"] = str(options.verbose)
    # A semicolon starts a comment in Asterisk's files unless it is escaped.
    lines = [f"{name} => {str(path).replace(';', chr(92) + ';')}" for name, path in directories.items()]
    return section("directories", {}) + "\n".join(lines) + "\n\n" + section("options", settings)


def pjsip_conf(ports: AsteriskPorts, options: AsteriskOptions, endpoints: str) -> str:
    """Phones are told from callers by the user in From: a phone's name is a phone, anybody else is the trunk."""
    trunk = {
        "type": "endpoint",
        "context": TRUNK_CONTEXT,
        "disallow": "all",
        "allow": "ulaw,alaw",
        "identify_by": "ip",
        "direct_media": "no",
        "dtmf_mode": "auto_info",
        "allow_subscribe": "no",
        "trust_id_inbound": "yes",
        **options.trunk,
    }
    return "\n".join(
        [
            section(
                "global",
                {
                    "type": "global",
                    "user_agent": "acd-lab",
                    "endpoint_identifier_order": "username,ip",
                    "mwi_disable_initial_unsolicited": "yes",
                    "contact_expiration_check_interval": "2",
                    **options.pjsip_global,
                },
            ),
            section("system", {"type": "system", "threadpool_initial_size": "10"}),
            section("transport-udp", {"type": "transport", "protocol": "udp", "bind": f"127.0.0.1:{ports.sip}"}),
            section("trunk", trunk),
            section("trunk-identify", {"type": "identify", "endpoint": "trunk", "match": "127.0.0.0/8"}),
            endpoints,
        ]
    )


def manager_conf(
    ports: AsteriskPorts, options: AsteriskOptions, users: Sequence[AmiUser], channelvars: Sequence[str]
) -> str:
    general = {
        "enabled": "yes",
        "webenabled": "no",
        "bindaddr": "127.0.0.1",
        "port": str(ports.ami),
        "timestampevents": "yes",
        "channelvars": ",".join(channelvars),
        **options.manager_general,
    }
    text = section("general", general)
    for user in users:
        settings = {
            "secret": user.secret,
            "deny": "0.0.0.0/0.0.0.0",
            "permit": "127.0.0.1/255.255.255.255",
            "read": user.read,
            "write": user.write,
            "writetimeout": "5000",
            "allowmultiplelogin": "yes" if user.many_logins else "no",
        }
        filters = "".join(f"eventfilter(name({name})) =\n" for name in user.events)
        text += "\n" + section(user.name, {key: value for key, value in settings.items() if value}) + filters
    return text


def extensions_conf(dialplan_files: Sequence[Path], text: str) -> str:
    """Both sides of the switch, then what is being tried."""
    bridge = section("general", {"static": "yes", "writeprotect": "no"})
    bridge += f"\n[{TRUNK_CONTEXT}]\ninclude => acd-inbound\n\n[{PHONE_CONTEXT}]\ninclude => acd-agent\n\n"
    return bridge + "".join(f'#include "{path}"\n' for path in dialplan_files) + "\n" + text


def write_tree(
    tree: Tree,
    ports: AsteriskPorts,
    options: AsteriskOptions,
    *,
    dialplan_files: Sequence[Path],
    dialplan_text: str,
    endpoints: str,
    users: Sequence[AmiUser],
    channelvars: Sequence[str],
    max_files: int,
) -> dict[str, str]:
    """Every file of the configuration: its name below ``tree.etc`` and its text."""
    files = {
        "asterisk.conf": asterisk_conf(tree, options, max_files),
        "modules.conf": section("modules", {"autoload": "yes"})
        + "".join(f"noload = {name}.so\n" for name in (*_NOT_LOADED, *(() if options.cel else ("cel_custom",)))),
        "logger.conf": section("general", {"dateformat": "%F %T.%3q", "queue_log": "no"})
        + section("logfiles", {"messages.log": "notice,warning,error"})
        + ("full.log => notice,warning,error,verbose,dtmf\n" if options.verbose else ""),
        "pjsip.conf": pjsip_conf(ports, options, endpoints),
        "manager.conf": manager_conf(ports, options, users, channelvars),
        "extensions.conf": extensions_conf(dialplan_files, dialplan_text),
        "rtp.conf": section("general", {"rtpstart": str(ports.rtp_from), "rtpend": str(ports.rtp_to)}),
        "musiconhold.conf": section("default", {"mode": "files", "directory": str(tree.data / "moh")}),
        "cdr.conf": section("general", {"enable": "no"}),
        "cel.conf": section("general", {"enable": "yes" if options.cel else "no", "events": "ALL", "apps": "all"}),
        "queues.conf": options.queues or section("general", {}),
        "http.conf": section("general", {"enabled": "no"}),
        "indications.conf": section("general", {"country": "us"}) + section("us", _TONES),
        **dict.fromkeys(_EMPTY, "; the defaults\n"),
    }
    if options.cel:
        row = ",".join(f"${{CSV_QUOTE(${{{name}}})}}" for name in CEL_COLUMNS.values())
        files["cel_custom.conf"] = "[mappings]\nevents.csv => " + row + "\n"
    return files


# North American tones; without a country Dial has no ring tone to play to a caller who was answered before.
_TONES = {
    "description": "United States / North America",
    "ringcadence": "2000,4000",
    "dial": "350+440",
    "busy": "480+620/500,0/500",
    "ring": "440+480/2000,0/4000",
    "congestion": "480+620/250,0/250",
}

# Files whose absence Asterisk reports as a warning or an error; they need to be there and may say nothing.
_EMPTY = (
    *(
        "acl.conf",
        "stasis.conf",
        "ccss.conf",
        "confbridge.conf",
        "features.conf",
        "followme.conf",
        "udptl.conf",
        "codecs.conf",
    ),
    *("dsp.conf", "amd.conf", "queuerules.conf", "pjproject.conf", "pjsip_wizard.conf", "ari.conf", "cli.conf"),
    *("cli_permissions.conf", "extconfig.conf", "sorcery.conf", "dnsmgr.conf", "res_parking.conf", "cel_manager.conf"),
    *("voicemail.conf", "sla.conf", "enum.conf", "agents.conf", "websocket_client.conf", "chan_websocket.conf"),
)


def section(name: str, settings: Mapping[str, str]) -> str:
    """One section of an Asterisk file."""
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())
