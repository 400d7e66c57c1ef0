"""acd.toml and its overrides: defaults, places, secrets, and exactly what is said about mistakes."""

from __future__ import annotations

import json
import logging
import traceback
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from acd.config import LoadedSettings, ProblemsError, find_config, load_settings
from acd.config.settings import AsteriskNode, mask_url, normalize_url
from acd.domain.errors import ConfigurationError

NODE = '[asterisk.PBX1]\ncall_secret_file = "one"\nlook_secret_file = "two"\n'


HUSHED = {"ACD_ASTERISK__B__CALL_SECRET": "hush\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, secret in (("one", "first-secret\n"), ("two", "second secret")):
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def load(folder: Path, text: str, environ: dict[str, str] | None = None) -> LoadedSettings:
    path = folder / "acd.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return load_settings(path, environ or {})


def test_a_file_name_cannot_steer_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError) as caught:
        load_settings(tmp_path / "\x1b[2J\n.toml", {})
    assert caught.value.problems[0].startswith(f"{tmp_path}/\\x1b[2J\\n.toml: does not exist")


def complaints(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    """What is said, without the file's folder."""
    with pytest.raises(ProblemsError) as caught:
        load(folder, text, environ)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


def test_defaults(folder: Path) -> None:
    loaded = load(folder, NODE)
    assert loaded.warnings == ()
    assert loaded.path == folder / "acd.toml"
    found = loaded.settings
    node = found.asterisk["PBX1"]
    assert (node.host, node.ami_port, node.tls, node.ca_file) == ("127.0.0.1", 5038, False, None)
    assert (node.call_user, node.secret("call").get_secret_value()) == ("acd-calls", "first-secret")
    assert (node.look_user, node.secret("look").get_secret_value()) == ("acd-looks", "second secret")
    assert (found.agi.host, found.agi.port, found.agi.max_connections) == ("127.0.0.1", 4573, 1000)
    assert (found.http.host, found.http.port, found.http.allow_public) == ("127.0.0.1", None, False)
    assert (found.http.socket, found.http.socket_mode) == (Path("/var/lib/acd/acd.sock"), 0o600)
    assert found.database.url_masked == "sqlite+aiosqlite:////var/lib/acd/acd.sqlite3"
    assert (found.database.spill_dir, found.database.spill_max_mb) == (Path("/var/lib/acd/spill"), 256)
    assert (found.database.durable_in, found.database.when_full) == ("log", "serve")
    assert found.floor.file == folder / "floor.yaml"
    journal = found.journal
    assert (journal.directory, journal.max_mb, journal.keep, journal.outputs) == (None, 100, 20, True)
    assert (found.service.log_level, found.service.log_format) == ("info", "text")


def test_paths_count_from_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    text = (
        NODE
        + '[http]\nsocket = "run/s"\n[database]\nurl = "sqlite:///db/x.db"\nspill_dir = "/spill"\n'
        + '[floor]\nfile = "f.yaml"\n[service]\nstate_dir = "st"\n'
    )
    found = load(folder, text).settings
    assert found.http.socket == folder / "run/s"
    assert found.database.url_masked == f"sqlite+aiosqlite:///{folder}/db/x.db"
    assert found.database.spill_dir == Path("/spill")
    assert found.floor.file == folder / "f.yaml"
    assert found.service.state_dir == folder / "st"
    monkeypatch.chdir(folder)
    assert load_settings("acd.toml", {}).settings == found
    socket = load(folder, NODE, {"ACD_SERVICE__STATE_DIR": "st"}).settings.http.socket
    assert socket == folder / "st" / "acd.sock"


def test_the_environment_overrides(folder: Path) -> None:
    environ = {
        "ACD_HTTP__PORT": "8080",
        "acd_agi__Port": "4000",
        "ACD_ASTERISK__PBX1__HOST": "10.0.0.5",
        "ACD_ASTERISK__PBX1__TLS": "true",
        "ACD_ASTERISK__new__CALL_SECRET": "1234",
        "ACD_ASTERISK__NEW__LOOK_SECRET": "true",
        "ACD_DATABASE__URL": "postgresql://u:pw@h/db",
        "ACD_SERVICE__LOG_LEVEL": "DEBUG",
        "ACD_HTTP__SOCKET_MODE": "0660",
        "ACD_CONFIG": "elsewhere",
        "ACD_LAB_CACHE": "/x",
        "OTHER__X": "1",
    }
    found = load(folder, NODE + "[agi]\nport = 1\n", environ).settings
    assert (found.http.port, found.agi.port, found.http.socket_mode) == (8080, 4000, 0o660)
    assert list(found.asterisk) == ["PBX1", "new"]
    assert (found.asterisk["PBX1"].host, found.asterisk["PBX1"].tls) == ("10.0.0.5", True)
    assert found.asterisk["new"].secret("call").get_secret_value() == "1234"
    assert found.database.url_masked == "postgresql+psycopg://u:***@h/db"
    assert found.service.log_level == "debug"


def test_a_secret_from_the_environment_displaces_the_files(folder: Path) -> None:
    found = load(folder, NODE, {"ACD_ASTERISK__PBX1__CALL_SECRET": "from outside"}).settings.asterisk["PBX1"]
    assert found.secret("call").get_secret_value() == "from outside"
    inline = '[asterisk.a]\ncall_secret = "x"\nlook_secret = "y"\n'
    found = load(folder, inline, {"ACD_ASTERISK__A__LOOK_SECRET_FILE": "two"}).settings.asterisk["a"]
    assert found.secret("look").get_secret_value() == "second secret"


def test_secrets_are_shown_nowhere(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = (
        '[asterisk.a]\ncall_secret = "hush-1"\nlook_secret = "hush-2"\n[database]\nurl = "postgresql://u:hush-3@h/d"\n'
    )
    found = load(folder, text).settings
    logging.getLogger().warning("%s %r", found, found)
    seen = [
        repr(found),
        str(found),
        found.model_dump_json(),
        repr(found.asterisk),
        found.database.url_masked,
        caplog.text,
    ]
    assert not [text for text in seen if "hush" in text]
    assert '"**********"' in seen[2]


@pytest.mark.parametrize(
    "wrong",
    [
        '[asterisk.a]\ncall_secret = "hush\\u0007"\nlook_secret = ["hush"]\nlook_user = 5\n',
        '[asterisk.a]\ncall_secret = "hush"\nlook_secret = "hush"\nhost = 1\n[database]\nurl = "mysql://u:hush@h/d"\n',
        NODE + '[database]\nurl = "postgresql://u:hu#sh@h/d"\n',
        NODE + '[database]\nurl = "postgresql://u:hush/x@h/d"\n',
        NODE + '[database]\nurl = "postgresql://u:hush@h@h/d"\n',
        NODE + '[database]\nurl = "postgresql://u:hush\\u2100@h/d"\n',
        NODE + '[database]\nurl = {hush = "hush"}\n',
    ],
)
def test_secrets_are_not_in_errors(wrong: str, folder: Path) -> None:
    path = folder / "acd.toml"
    path.write_text(wrong, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path, HUSHED)
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error) + json.dumps([p.as_json() for p in error.found])
    assert "hush" not in shown
    assert error.__context__ is None


TABLE = Path(__file__).with_name("settings_problems.txt")


def cases() -> list[tuple[str, dict[str, str], str, list[str]]]:
    """(name, environment, acd.toml, problems) of every case in the table."""
    found = []
    for part in TABLE.read_text(encoding="utf-8").split("\n### ")[1:]:
        name, rest = part.split("\n", 1)
        text, lines = rest.rsplit("=>\n", 1)
        overrides = [line for line in text.splitlines() if line.startswith("$ ")]
        environ = dict(line[2:].split("=", 1) for line in overrides)
        text = "".join(f"{line}\n" for line in text.splitlines() if not line.startswith("$ "))
        found.append((name, environ, text, [line for line in lines.splitlines() if line]))
    return found


@pytest.mark.parametrize(
    ("environ", "text", "lines"),
    [pytest.param(environ, text, lines, id=name) for name, environ, text, lines in cases()],
)
def test_exactly_these_problems_are_said(environ: dict[str, str], text: str, lines: list[str], folder: Path) -> None:
    assert lines
    assert complaints(folder, text, environ) == lines


NO_MANAGER = """
[asterisk.pbx1]
call_secret_file = "gone"
tls = true
ca_file = "gone"
[asterisk.pbx2]
ami_port = 5039
[database]
password_file = "gone"
url = "postgresql://acd@h/acd"
"""


@pytest.mark.parametrize("text", ["", "asterisk = {}\n", NO_MANAGER, '[records]\noperators = "ops"\n'])
def test_what_is_not_needed_may_be_missing(folder: Path, text: str) -> None:
    path = folder / "acd.toml"
    path.write_text(text)
    found = load_settings(path, {}, needed=()).settings
    assert list(found.asterisk) == (["pbx1", "pbx2"] if text is NO_MANAGER else [])
    assert found.service.state_dir == Path("/var/lib/acd")
    with pytest.raises(ProblemsError, match="asterisk"):
        load_settings(path, {}, needed=("asterisk",))
    with pytest.raises(ProblemsError, match=r"gone cannot be read") if text is NO_MANAGER else nullcontext():
        load_settings(path, {}, needed=("database",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[record]\noperators = "ops"\n', "acd.toml:1:1: unknown table or key 'record' (nearest right name: records)"),
        ('[records]\noperator = "x"\n', "2:1: unknown key 'operator' in [records] (nearest right name: operators)"),
        ("[records]\nmask = 3\n", "2:1: mask in [records] should be true or false, not 3"),
        ("[asterisk.a]\nami_prot = 1\n", "2:1: unknown key 'ami_prot' in [asterisk.a]"),
        ("[asterisk.a]\nami_port = 0\n", "2:1: ami_port in [asterisk.a] should be greater than or equal to 1, not 0"),
        ('[asterisk.a]\ncall_user = "x"\nlook_user = "x"\n', "3:1: [asterisk.a] call_user and look_user must be two"),
        ('[asterisk.a]\nca_file = "x"\n', "2:1: [asterisk.a] has ca_file without tls = true"),
        ("[asterisk.a]\n[asterisk.b]\n", "is the same 127.0.0.1:5038 as [asterisk.a]"),
        ('[database]\nurl = "mysql://x"\n', "2:1: url in [database] should begin with sqlite:// or postgresql://"),
    ],
)
def test_what_is_not_needed_must_be_right(folder: Path, text: str, said: str) -> None:
    path = folder / "acd.toml"
    path.write_text(text)
    with pytest.raises(ProblemsError) as caught:
        load_settings(path, {}, needed=())
    (problem,) = caught.value.problems
    assert said in problem


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(tmp_path / "acd.toml", {})
    assert caught.value.problems == [
        f"{tmp_path}/acd.toml: does not exist; `acd init DIRECTORY` writes samples to begin with"
    ]


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_a_secret_file_that_everybody_may_read_is_refused(mode: int, folder: Path) -> None:
    (folder / "one").chmod(mode)
    assert complaints(folder, NODE) == [
        "acd.toml:2:1: call_secret_file one can be read by every user of this machine; run: chmod o= one"
    ]
    (folder / "one").chmod(0o640)
    assert load(folder, NODE).warnings == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds a secret that is empty"),
        (b"\n", "holds a secret that is empty"),
        (b"a\nb\n", "holds a secret that must be one line of at most 512 bytes, without control characters"),
        (b"x" * 513, "holds a secret that must be one line of at most 512 bytes, without control characters"),
        (b"x" * 5000, "is too large to be a secret"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_what_is_no_secret(content: bytes, reason: str, folder: Path) -> None:
    (folder / "one").write_bytes(content)
    assert complaints(folder, NODE) == [f"acd.toml:2:1: call_secret_file one {reason}"]


@pytest.mark.parametrize(
    "text",
    [
        '[asterisk.a]\ncall_secret = "x"\nlook_secret = "y"\n',
        NODE + '[database]\nurl = "postgresql://u:pw@h/d"\n',
        NODE + '[database]\nurl = "postgresql://h/d?password=pw"\n',
    ],
)
def test_secrets_in_a_file_that_everybody_may_read_are_warned_of(text: str, folder: Path) -> None:
    path = folder / "acd.toml"
    path.write_text(text)
    path.chmod(0o644)
    (warning,) = load_settings(path, {}).warnings
    assert str(warning) == (
        f"{path}: warning: holds a secret and can be read by every user of this machine; run: chmod o= {path}"
    )
    path.write_text(NODE)
    assert load_settings(path, {}).warnings == ()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_http_may_listen_on_loopback(host: str, folder: Path) -> None:
    assert load(folder, NODE + f'[http]\nport = 80\nhost = "{host}"\n').settings.http.host == host


def test_http_may_be_public_if_that_is_said(folder: Path) -> None:
    text = NODE + '[http]\nport = 80\nhost = "0.0.0.0"\nallow_public = true\n'
    assert load(folder, text).settings.http.host == "0.0.0.0"


@pytest.mark.parametrize(
    ("url", "password", "normal", "masked"),
    [
        ("", None, "sqlite+aiosqlite:////default", None),
        ("sqlite:///x.db", None, "sqlite+aiosqlite:////base/x.db", None),
        ("sqlite+aiosqlite:////abs/x.db?timeout=5", None, "sqlite+aiosqlite:////abs/x.db?timeout=5", None),
        ("postgresql://h/d", None, "postgresql+psycopg://h/d", None),
        ("postgres://u@h:5432/d", None, "postgresql+psycopg://u@h:5432/d", None),
        ("postgresql:///d?host=/run/pg", None, "postgresql+psycopg:///d?host=/run/pg", None),
        ("postgresql://u@h/d", "p@:/#w", "postgresql+psycopg://u:p%40%3A%2F%23w@h/d", "postgresql+psycopg://u:***@h/d"),
        ("postgresql://u:old@h/d", "new", "postgresql+psycopg://u:new@h/d", "postgresql+psycopg://u:***@h/d"),
        (
            "postgresql+psycopg://u:pw@[::1]:5/d?sslmode=require&password=pw",
            None,
            "postgresql+psycopg://u:pw@[::1]:5/d?sslmode=require&password=pw",
            "postgresql+psycopg://u:***@[::1]:5/d?sslmode=require&password=***",
        ),
    ],
)
def test_database_urls(url: str, password: str | None, normal: str, masked: str | None) -> None:
    found = normalize_url(url, Path("/base"), Path("/default"), password)
    assert found == normal
    assert mask_url(found) == (masked or normal)
    parsed = make_url(found)
    if password is not None:
        assert parsed.password == password
    assert parsed.render_as_string(hide_password=False) is not None


def test_lookup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("acd.config.load.SYSTEM_CONFIG", tmp_path / "etc.toml")
    with pytest.raises(ConfigurationError) as caught:
        find_config(None, {})
    assert str(caught.value) == (
        f"no configuration: looked for acd.toml and {tmp_path}/etc.toml; name one with --config or ACD_CONFIG; "
        "`acd init DIRECTORY` writes samples to begin with"
    )
    (tmp_path / "etc.toml").touch()
    assert find_config(None, {}) == tmp_path / "etc.toml"
    (tmp_path / "acd.toml").touch()
    assert find_config(None, {}) == Path("acd.toml")
    assert find_config(None, {"ACD_CONFIG": "/env.toml"}) == Path("/env.toml")
    assert find_config("/given.toml", {"ACD_CONFIG": "/env.toml"}) == Path("/given.toml")


# --- anything at all ------------------------------------------------------------------------------------------------

words = st.sampled_from(
    (
        *AsteriskNode.model_fields,
        "asterisk",
        "agi",
        "http",
        "database",
        "floor",
        "service",
        "port",
        "socket",
        "url",
        "x y",
    )
)
values = st.recursive(
    st.one_of(
        st.booleans(), st.integers(-9, 99_999), st.text(max_size=5), st.sampled_from(["one", "two", "sqlite:///x"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(words, inner, max_size=4)),
    max_leaves=12,
)


@given(
    st.dictionaries(words, values, max_size=4),
    st.dictionaries(st.lists(words, min_size=1, max_size=3).map(lambda w: "ACD_" + "__".join(w)), st.text(max_size=4)),
)
@settings(
    max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_any_table_and_any_environment(folder: Path, table: dict[str, object], environ: dict[str, str]) -> None:
    text = "".join(f"{json.dumps(key)} = {inline(value)}\n" for key, value in table.items())
    try:
        load(folder, text, environ)
    except ProblemsError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(problem.isprintable() for problem in problems)


def inline(value: object) -> str:
    """``value`` as TOML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"'
    return json.dumps(value)
