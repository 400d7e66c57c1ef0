"""``acd list``, ``acd contact``, ``acd dnc``: on the database itself, whatever the files hold."""

from __future__ import annotations

import csv
import json
import shutil
import stat
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from acd.cli import cli
from acd.lists import importing
from acd.store import upgrade
from acd.store.beside import writing
from acd.store.outbound.tables import attempts, contacts

FLOOR = """
queues: {main: {}}
agents:
  ann: {number: 101, phones: [PJSIP/101], queues: [main]}
entry_points: {"1": main}
"""
HASH = sha256(b"+491711234568").hexdigest()


class Desk:
    """The command line in a folder, with a database for it alone."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        (folder / "floor.yaml").write_text(FLOOR)
        self.configure()

    def configure(self, more: str = "") -> None:
        config = self.folder / "acd.toml"
        config.touch(mode=0o600)
        config.write_text(
            f'[asterisk.a]\ncall_secret = "x"\nlook_secret = "y"\n[database]\nurl = "{self.url}"\n'
            f'[service]\nstate_dir = "{self.folder}/state"\n[records]\ncountry_code = "49"\n{more}'
        )

    def acd(self, *arguments: str, code: int = 0, **more: Any) -> Result:
        result = CliRunner().invoke(cli, ["--config", str(self.folder / "acd.toml"), *arguments], **more)
        assert result.exit_code == code, result.output
        return result

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.acd("--json", *arguments, code=code).stdout)

    def file(self, text: str | bytes, name: str = "file.csv") -> str:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def audit(self) -> list[tuple[str, str]]:
        with writing(self.url) as connection:
            rows = connection.execute(sa.text("SELECT action, subject FROM audit ORDER BY entry"))
            return [(row[0], row[1]) for row in rows if row[0] != "db_upgrade"]

    def set_state(self, contact: int, state: str) -> None:
        with writing(self.url) as connection, connection.begin():
            connection.execute(sa.update(contacts).where(contacts.c.contact == contact).values(state=state))

    def attempt(self, contact: int, *, over: bool = False) -> None:
        row = {
            "attempt": "00000100000001", "campaign": "c", "list": "spring", "contact": contact, "position": 0,
            "number": "+1", "mode": "power", "caller_id": "+2", "trunk": "t", "node": "a", "committed_at": 1.0, "facts": {},
        }  # fmt: skip
        with writing(self.url) as connection, connection.begin():
            done = sa.update(attempts).values(ended_at=2.0, outcome="busy")
            connection.execute(done) if over else connection.execute(sa.insert(attempts), row)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lists") / "acd.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def desk(tmp_path: Path, empty: Path) -> Desk:
    shutil.copyfile(empty, tmp_path / "acd.db")
    return Desk(tmp_path, f"sqlite:///{tmp_path}/acd.db")


LIST = (
    'Kundennr;Name;Handy;Betrag\n1;"=HYPERLINK(""x"")";0171 1234567;+1\n2;@b;112;-2\n3;\tc;0171 1234567;"\rx"\n'
    "4;\x1b[31mred;0171 1234568;5\n"
)


def test_a_list_from_file_to_its_end(desk: Desk) -> None:
    found = desk.json("list", "import", desk.file(LIST), "--list", "spring")
    assert (found["rows"], found["imported"], found["duplicates"], found["rejected"]) == (4, 2, 1, 1)
    assert (found["new"], found["read"]["region"], found["reasons"]) == (True, "DE", {"duplicate": 1, "emergency": 1})
    again = desk.json("list", "import", desk.file(LIST), "--list", "spring")
    assert (again["imported"], again["duplicates"], again["new"]) == (0, 3, False)
    (row,) = desk.json("list", "list")["lists"]
    assert (row["list"], row["country"], row["contacts"]["new"]) == ("spring", "DE", 2)
    shown = desk.json("list", "show", "spring")
    assert [(one["source"], one["imported"]) for one in shown["imports"]] == [("file.csv", 0), ("file.csv", 2)]
    assert "2 new" in desk.acd("list", "show", "spring").stdout
    assert desk.json("list", "delete", "spring", "--yes") == {"list": "spring", "contacts": 2}
    assert desk.json("list", "list") == {"lists": []}
    assert desk.audit() == [(f"list_{what}", "spring") for what in ("imported", "imported", "deleted")]


def test_columns_regions_and_delimiters_can_be_said(desk: Desk) -> None:
    path = desk.file("a\tb\n030 1234567\t0171 1234567\n")
    how = ("--delimiter", "tab", "--map", "number=b,name=a", "--region", "de", "--encoding", "utf-8")
    assert desk.json("list", "import", path, "--list", "x", *how)["imported"] == 1
    assert desk.json("contact", "show", "1")["name"] == "030 1234567"
    british = desk.file("020 7946 0958\n")
    without = ("--no-header", "--map", "number=1", "--region", "GB")
    assert desk.json("list", "import", british, "--list", "y", *without)["imported"] == 1
    assert desk.json("contact", "show", "2")["numbers"][0]["number"] == "+442079460958"


def test_names_and_arguments_of_any_bytes_are_kept(desk: Desk) -> None:
    path = desk.file("phone\n0171 1234567\n", "b\udcff.csv")
    assert desk.json("list", "import", path, "--list", "odd", "--description", "d\udcff")["imported"] == 1
    assert desk.json("list", "show", "odd")["imports"][0]["source"] == "b?.csv"
    desk.acd("contact", "edit", "1", "--field", "x\udcff=y\udcff", "--name", "n\udcff")
    assert desk.json("contact", "show", "1")["fields"] == {"x?": "y?"}
    assert desk.json("dnc", "import", path)["added"] == 1


def test_a_dry_run_changes_nothing(desk: Desk) -> None:
    found = desk.json("list", "import", desk.file(LIST), "--list", "spring", "--dry-run")
    assert (found["contacts"], found["rejected"], found["first"][0]["numbers"]) == (3, 1, ["+491711234567"])
    assert "nothing was done" in desk.acd("list", "import", desk.file(LIST), "--list", "spring", "--dry-run").stdout
    assert desk.json("list", "list") == {"lists": []}
    assert desk.audit() == []


def test_replacing_asks_and_takes_the_others_away(desk: Desk) -> None:
    desk.acd("list", "import", desk.file(LIST), "--list", "spring")
    path = desk.file("phone\n030 1234567\n", "new.csv")
    desk.acd("list", "import", path, "--list", "spring", "--replace", code=1, input="n\n")
    assert desk.json("list", "show", "spring")["contacts"]["new"] == 2
    assert desk.json("list", "import", path, "--list", "spring", "--replace", "--yes")["removed"] == 2
    assert desk.json("list", "show", "spring")["contacts"]["new"] == 1


def test_rejected_rows_are_no_formulas_in_the_file(desk: Desk) -> None:
    text = LIST + '"=2";"+3;";nobody;"-4"\n'
    desk.acd("list", "import", desk.file(text), "--list", "spring")
    path = desk.folder / "out.csv"
    assert desk.json("list", "rejects", "spring", "-o", str(path))["rows"] == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["Kundennr", "Name", "Handy", "Betrag", "acd_line", "acd_reason", "acd_detail"]
    assert rows[1] == ["2", "'@b", "112", "'-2", "3", "emergency", "Handy: it is an emergency number"]
    assert rows[2][:6] == ["3", "'\tc", "0171 1234567", "'\rx", "4", "duplicate"]
    assert rows[-1][:6] == ["'=2", "'+3;", "nobody", "'-4", "7", "no_number"]
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    shown = desk.json("list", "rejects", "spring", "--limit", "1")
    assert (len(shown["rejects"]), shown["more"], shown["rejects"][0]["cells"][1]) == (1, True, "@b")
    # Nothing is left behind where there is no list, or no folder
    desk.acd("list", "rejects", "sprng", "-o", str(desk.folder / "none.csv"), code=4)
    assert "cannot be written" in desk.acd("list", "rejects", "spring", "-o", "/nowhere/x.csv", code=1).stderr
    assert [one.name for one in desk.folder.iterdir() if "none" in one.name or one.name.startswith(".")] == []


def test_rejected_rows_are_mended_and_imported_again(desk: Desk) -> None:
    text = f"Name;Handy;Betrag\n@b;17l1234567;-2\nc;112;{'9' * 300}\nd;0171 1234560;\ne;0171 1234560;3;4;5\nf;\n"
    desk.acd("list", "import", desk.file(text), "--list", "spring")
    path = desk.folder / "out.csv"
    desk.acd("list", "rejects", "spring", "-o", str(path))
    with path.open(newline="") as file:
        _, b, c, e, f = csv.reader(file)
    assert c[2] == "9" * 200
    assert c[-1] == "Handy: it is an emergency number; cut at 200 characters, take it from the file: Betrag"
    assert (b[-1], f[:3], e[:3]) == (
        "Handy: it has letters where digits should be",
        ["f", "", ""],
        ["e", "0171 1234560", "3, 4, 5"],
    )
    path.write_text(
        path.read_text().replace("17l1234567", "0171 1234561").replace("e,0171 1234560", "e,'+491711234562")
    )
    found = desk.json("list", "import", str(path), "--list", "spring")
    assert (found["imported"], found["reasons"]) == (2, {"emergency": 1, "empty": 1})
    assert [one["is"] for one in found["read"]["columns"]][3:] == ["passed over"] * 3
    made = [desk.json("contact", "show", str(number)) for number in (2, 3)]
    assert [(one["name"], one["fields"], one["numbers"][0]["number"]) for one in made] == [
        ("@b", {"Betrag": "-2"}, "+491711234561"), ("e", {"Betrag": "3, 4, 5"}, "+491711234562"),
    ]  # fmt: skip


def test_an_import_that_is_interrupted_says_how_it_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    file = desk.file("Name;Handy\na;0171 1234567\n")
    with monkeypatch.context() as patched:
        patched.setattr(importing, "run", interrupted)
        said = desk.acd("list", "import", file, "--list", "spring", code=1).stderr
    assert "the same command goes on where it stopped" in said
    assert "Aborted" not in said
    assert desk.json("list", "import", file, "--list", "spring")["imported"] == 1


def test_a_duplicate_that_was_used_is_not_told_as_not_taken(desk: Desk) -> None:
    file = desk.file("Name;Handy\na;0171 1234567\n")
    desk.acd("list", "import", file, "--list", "spring")
    updated = desk.acd("list", "import", file, "--list", "spring", "--duplicates", "update").stdout
    assert ("1 updated" in updated, "not taken" in updated) == (True, False)
    assert "not taken: duplicate 1 (" in desk.acd("list", "import", file, "--list", "spring").stdout


def test_what_lists_say_reaches_no_terminal(desk: Desk) -> None:
    desk.acd("list", "import", desk.file(LIST), "--list", "spring")
    texts = [desk.acd("contact", "show", "2").stdout, desk.acd("contact", "find", "0171/1234568").stdout]
    texts.append(desk.acd("list", "rejects", "spring").stdout)
    assert "\\x1b[31mred" in texts[0]
    assert not any("\x1b" in text or "\r" in text for text in texts)


def test_a_list_that_is_dialled_now_is_not_taken_away(desk: Desk) -> None:
    desk.acd("list", "import", desk.file(LIST), "--list", "spring")
    desk.set_state(1, "in_flight")
    assert "1 contact of spring" in desk.acd("list", "delete", "spring", "--yes", code=5).stderr
    assert sum(desk.json("list", "show", "spring")["contacts"].values()) == 2
    desk.acd("list", "delete", "spring", code=5)
    # Who is blocked amid his call
    desk.set_state(1, "blocked")
    desk.attempt(1)
    assert "1 contact of spring" in desk.acd("list", "delete", "spring", "--yes", code=5).stderr
    assert sum(desk.json("list", "show", "spring")["contacts"].values()) == 2
    desk.attempt(1, over=True)
    desk.set_state(1, "new")
    # Nobody says yes
    desk.acd("list", "delete", "spring", code=1)
    assert sum(desk.json("list", "show", "spring")["contacts"].values()) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("list", "show", "sprng"), 4, "nearest: spring"),
        (("list", "delete", "sprng", "--yes"), 4, "nearest: spring"),
        (("list", "import", "FILE", "--list", "x", "--map", "nubmer=Handy"), 1, "nearest: number"),
        (("list", "import", "FILE", "--list", "x", "--map", "number=Hndy"), 1, "nearest: Handy"),
        (("list", "import", "FILE", "--list", "x", "--region", "Germany"), 2, "nearest: DE"),
        (("list", "import", "FILE", "--list", "x", "--region", "Frnace"), 2, "nearest: FR"),
        (("list", "import", "FILE", "--list", "x", "--region", "uk"), 2, "nearest: GB"),
        (("list", "import", "FILE", "--list", "a b"), 1, "cannot be a list's name"),
        (("list", "import", "FILE", "--list", "spring", "--client", "acme"), 5, "no client"),
        (("list", "import", "nowhere.csv", "--list", "x"), 1, "no file nowhere.csv"),
        (("contact", "show", "77"), 4, "no contact named '77'"),
        (("contact", "find", "12"), 1, "too short"),
        (("contact", "add", "--list", "sprng", "030 1234567"), 4, "nearest: spring"),
        (("contact", "add", "--list", "spring", "030 1234567", "--zone", "Berlin"), 1, "no time zone"),
        (("contact", "add", "--list", "spring", "030 1234567", "--field", "x"), 2, "NAME=VALUE"),
        (("contact", "edit", "1"), 2, "say what is to be changed"),
        (("contact", "edit", "1", "--no-field", "Betrg"), 4, "nearest: Betrag"),
        (("contact", "callback", "1"), 2, "--cancel"),
        (("contact", "callback", "1", "--at", "2h", "--agent", "anm"), 4, "nearest: ann"),
        (("contact", "callback", "1", "--at", "2h", "--number", "030 1234567"), 5, "no number of contact 1"),
        (("contact", "callback", "1", "--at", "2h", "--until", "1h"), 2, "after --at"),
        (("contact", "callback", "1", "--at", "2001-01-01 10:00"), 2, "is over"),
        (("contact", "callback", "1", "--cancel"), 5, "promised nothing"),
        (("dnc", "add", "112"), 1, "emergency"),
        (("dnc", "add", "hmac:" + 32 * "0"), 1, "hashed with a key"),
        (("dnc", "add", "030 1234567", "--scope", "clients:x"), 2, "nearest: client"),
        (("dnc", "import", "FILE", "--column", "Hndy"), 1, "nearest: Handy"),
    ],
)
def test_what_is_wrong_is_named_and_changes_nothing(
    desk: Desk, arguments: tuple[str, ...], code: int, said: str
) -> None:
    path = desk.file(LIST)
    desk.acd("list", "import", path, "--list", "spring")
    before = desk.json("list", "list"), desk.json("contact", "show", "1"), desk.json("dnc", "list")
    result = desk.acd(*(path if one == "FILE" else one for one in arguments), code=code)
    assert said in result.stderr.replace("\n", " ")
    assert (desk.json("list", "list"), desk.json("contact", "show", "1"), desk.json("dnc", "list")) == before
    assert len(desk.audit()) == 1


def test_a_contact_is_added_changed_and_found(desk: Desk) -> None:
    desk.acd("list", "import", desk.file(LIST), "--list", "spring")
    said = ("--name", "Cy", "--best", "18-20:30", "--field", "colour=red", "--rank", "-1", "--consent-at", "2026-01-02")
    made = desk.json("contact", "add", "--list", "spring", "030/1234567", "0171 9999999", *said)
    assert made == {"contact": 3, "list": "spring", "numbers": ["+49301234567", "+491719999999"]}
    assert "contact 3" in desk.acd("contact", "add", "--list", "spring", "0171 9999999", code=5).stderr
    (row,) = desk.json("contact", "find", "+49 171 9999999")["contacts"]
    assert (row["name"], row["best_from"], row["best_to"], row["country"]) == ("Cy", 1080, 1230, "DE")
    assert (row["fields"], row["rank"], row["consent_at"]) == ({"colour": "red"}, -1, 1_767_312_000.0)
    change = ("--best", "", "--key", "k", "--no-field", "colour", "--field", "x=1", "--number", "030 7654321")
    row = desk.json("contact", "edit", "3", *change, "--state", "done")
    assert (row["name"], row["key"], row["best_from"], row["fields"]) == ("Cy", "k", None, {"x": "1"})
    assert (row["state"], [one["number"] for one in row["numbers"]]) == ("done", ["+49307654321"])
    desk.set_state(3, "in_flight")
    desk.acd("contact", "edit", "3", "--name", "Not", "--state", "new", code=5)
    assert desk.json("contact", "show", "3")["name"] == "Cy"
    assert desk.audit()[1:] == [("contact_added", "3"), ("contact_edited", "3")]


def test_an_edit_says_what_becomes_of_the_contact(desk: Desk) -> None:
    desk.acd("list", "import", desk.file(LIST), "--list", "spring")

    def refused(state: str, reason: str | None, due_at: float | None = None) -> None:
        values = {"state": state, "refused": reason, "refused_at": reason and 1.0, "due_at": due_at}
        with writing(desk.url) as connection, connection.begin():
            connection.execute(sa.update(contacts).where(contacts.c.contact == 1).values(values))

    def edited(*change: str) -> str:
        told = desk.acd("contact", "edit", "1", *change).stdout.replace("\n", " ").strip()
        _, _, became = told.partition(" changed")
        return became.strip()

    refused("due", "hours", time.time() + 9999)
    assert "(hours)" in desk.acd("contact", "show", "1").stdout
    assert edited("--name", "Ann") == ""
    assert edited("--zone", "UTC") == "contact 1 is due again"
    refused("blocked", "consent")
    assert "is to be dialled again" in edited("--consent-at", "2026-01-02")
    assert desk.json("contact", "show", "1")["state"] == "new"
    assert edited("--zone", "Europe/Paris") == ""
    refused("blocked", None)
    assert "stays blocked, by a person" in edited("--consent-at", "2026-01-03")
    number = desk.json("contact", "show", "1")["numbers"][0]["number"]
    desk.acd("dnc", "add", number)
    assert edited("--zone", "UTC") == "contact 1 stays blocked: on the do-not-call list (all)"
    assert "is on the do-not-call list (all): it is blocked again at its turn." in edited("--state", "new")
    refused("blocked", "do_not_call")
    desk.acd("dnc", "remove", number)
    assert "stays blocked (it was on the do-not-call list): `--state new`" in edited("--zone", "Europe/Paris")
    row = desk.json("contact", "edit", "1", "--state", "new")
    assert (row["state"], row["refused"], row["became"]) == ("new", None, "is to be dialled again")


def test_a_callback_is_promised_replaced_and_taken_back(desk: Desk) -> None:
    desk.acd("list", "import", desk.file(LIST), "--list", "spring")
    made = desk.json("contact", "callback", "1", "--at", "2h", "--agent", "101", "--note", "x")
    assert made["agent"] == "ann"
    assert made["due_at"] == pytest.approx(time.time() + 7200, abs=60)
    made = desk.json("contact", "callback", "1", "--at", "1d", "--number", "0171 1234567")
    shown = desk.json("contact", "show", "1")
    assert (shown["state"], shown["callback"], shown["callback_agent"]) == ("due", made["callback"], None)
    assert [one["outcome"] for one in shown["callbacks"]] == [None, "replaced"]
    desk.acd("contact", "callback", "1", "--cancel")
    assert desk.json("contact", "show", "1")["state"] == "done"
    assert [action for action, _ in desk.audit()[1:]] == [
        "contact_callback", "contact_callback", "contact_callback_cancelled",
    ]  # fmt: skip


def test_a_promise_that_nobody_would_keep_is_refused(desk: Desk) -> None:
    desk.acd("list", "import", desk.file(LIST), "--list", "spring")
    ahead = desk.acd("contact", "callback", "1", "--at", "9999d", code=2).stderr
    assert "is more than 366 days ahead" in ahead
    outbound = """
trunks: {out: {dial: "PJSIP/{number}@out"}}
caller_ids: {own: {numbers: ["+4930555100"], verified: 2026-03-01}}
campaigns: {win: {mode: preview, queue: main, trunk: out, caller_ids: own, lists: [spring], time_zone: Europe/Berlin}}
"""
    eve = "agents:\n  eve: {number: 102, phones: [PJSIP/102]}\n"
    (desk.folder / "floor.yaml").write_text(FLOOR.replace("agents:\n", eve) + outbound)
    refused = desk.acd("contact", "callback", "1", "--at", "2h", "--agent", "eve", code=5).stderr
    assert "agent eve does not serve win, which dials list spring: ann would" in refused
    assert desk.json("contact", "show", "1")["state"] == "new"
    assert desk.json("contact", "callback", "1", "--at", "2h", "--agent", "ann")["agent"] == "ann"


def test_a_promise_for_an_hour_at_which_nobody_may_call_says_when_it_is_kept(desk: Desk) -> None:
    outbound = """
trunks: {out: {dial: "PJSIP/{number}@out"}}
caller_ids: {own: {numbers: ["+4930555100"], verified: 2026-03-01}}
campaigns:
  win: {mode: progressive, queue: main, trunk: out, caller_ids: own, profile: us, lists: [spring], time_zone: Europe/Berlin}
  other: {mode: preview, queue: main, trunk: out, caller_ids: own, profile: us, lists: [autumn], time_zone: Europe/Berlin}
"""
    desk.acd("list", "import", desk.file(LIST), "--list", "spring")
    (desk.folder / "floor.yaml").write_text(FLOOR + outbound)
    day = (datetime.now(UTC) + timedelta(days=20)).date()
    night = ("contact", "callback", "1", "--at", f"{day} 03:30:00+01:00")
    opens = datetime.fromisoformat(f"{day} 08:00:00").replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    (told,) = desk.json(*night)["untimely"]
    assert (told["campaign"], told["opens_at"]) == ("win", opens)
    assert "in Europe/Berlin, outside the calling hours" in told["why"]
    said = desk.acd(*night, "--until", f"{day} 07:00:00+01:00").stderr
    assert "but campaign win may not call there then (it is" in said
    assert said.rstrip().endswith("on, when it is too late")
    assert "too late" not in desk.acd(*night, "--until", f"{day} 21:00:00+01:00").stderr
    assert "UNTIL" in desk.acd("contact", "show", "1").stdout
    assert desk.json("contact", "callback", "1", "--at", f"{day} 13:30:00+01:00")["untimely"] == []


def test_who_opts_out_to_an_agent_is_called_at_no_number(desk: Desk) -> None:
    path = desk.file("name,phone,mobile\nAnn,030 1234567,0171 1234567\nBob,030 1234568,\n")
    desk.acd("list", "import", path, "--list", "spring", "--client", "acme")
    desk.acd("contact", "callback", "1", "--at", "2h")
    made = desk.json("contact", "opt-out", "1", "--reason", "never again")
    numbers = ["+491711234567", "+49301234567"]
    assert (made["scope"], sorted(made["numbers"]), made["in_flight"]) == ("client:acme", numbers, False)
    shown = desk.json("contact", "show", "1")
    assert (shown["state"], shown["callback"], sorted(shown["do_not_call"])) == ("blocked", None, numbers)
    (entry,) = desk.json("dnc", "check", "0171 1234567", "--client", "acme", code=1)["entries"]
    assert (entry["reason"], entry["source"]) == ("never again", "contact:1")
    desk.set_state(2, "in_flight")
    assert "goes on" in desk.acd("contact", "opt-out", "2").stderr
    assert desk.json("contact", "show", "2")["state"] == "blocked"
    desk.acd("dnc", "check", "030 1234568", "--client", "acme", code=1)
    desk.acd("contact", "opt-out", "3", code=4)
    assert [action for action, _ in desk.audit()[2:]] == ["contact_opted_out"] * 2


def test_nobody_is_kept_from_a_campaign_or_client_that_is_misspelt(desk: Desk) -> None:
    campaign = (
        "{mode: progressive, queue: sales, trunk: out, caller_ids: own, profile: us, client: acme, time_zone: UTC}"
    )
    (desk.folder / "floor.yaml").write_text(
        "queues: {sales: {}}\nagents: {anna: {number: 1, phones: [PJSIP/1], queues: [sales]}}\n"
        "trunks: {out: {dial: 'PJSIP/{number}@out'}}\n"
        "caller_ids: {own: {verified: 2026-03-01, numbers: ['+4930555100']}}\n"
        f"campaigns: {{spring: {campaign}}}\n"
    )
    told = desk.acd("dnc", "add", "0171 1234567", "--scope", "campaign:sprng", code=4).stderr
    assert "there is no campaign named 'sprng' (nearest: spring)" in told
    assert "(nearest: acme)" in desk.acd("dnc", "import", desk.file("0171\n"), "--scope", "client:akme", code=4).stderr
    assert not desk.json("dnc", "list", "--all")["entries"]
    for scope in ("campaign:spring", "client:acme", "all"):
        desk.acd("dnc", "add", "0171 1234567", "--scope", scope)


def test_do_not_call_from_a_number_to_none(desk: Desk) -> None:
    desk.acd("dnc", "add", "0171 1234567", "--reason", "asked", "--scope", "client:acme")
    found = desk.json("dnc", "check", "+49 171/1234567", code=1)
    assert (found["listed"], found["entries"][0]["reason"]) == (True, "asked")
    assert desk.json("dnc", "check", "0171 1234567", "--client", "acme", code=1)["listed"]
    assert not desk.json("dnc", "check", "0171 1234567", "--client", "other")["listed"]
    desk.acd("dnc", "add", HASH)
    assert desk.json("dnc", "check", "0171 1234568", code=1)["entries"][0]["number"] == f"sha256:{HASH}"
    counts = desk.json("dnc", "list")["scopes"]
    assert {scope: (row["entries"], row["hashed"]) for scope, row in counts.items()} == {
        "all": (1, 1), "client:acme": (1, 0),
    }  # fmt: skip
    assert len(desk.json("dnc", "list", "--all")["entries"]) == 2
    assert desk.json("dnc", "list", "--all", "--limit", "1")["more"]
    desk.acd("dnc", "remove", "0171 1234567", "--scope", "all", code=1)
    assert desk.json("dnc", "remove", "0171 1234567")["entries"] == 1
    assert desk.json("dnc", "remove", "0171 1234568")["entries"] == 1
    assert desk.json("dnc", "list") == {"scopes": {}}
    actions = desk.audit()
    assert [action for action, _ in actions] == ["dnc_added", "dnc_added", "dnc_removed", "dnc_removed"]
    assert not any("1234567" in subject for _, subject in actions)


def test_who_was_erased_stays_away_unless_somebody_says_otherwise(desk: Desk) -> None:
    path = desk.file("name,phone\nAnn,0171 1234567\nBob,0171 1234568\n")
    desk.acd("list", "import", path, "--list", "spring")
    assert desk.json("person", "erase", "0171 1234567", "--yes")["kept_away"]
    (entry,) = desk.json("dnc", "list", "--scope", "erased")["entries"]
    assert (entry["number"].startswith("hmac:"), entry["source"]) == (True, "erasure")
    desk.acd("dnc", "check", "0171 1234567", code=1)
    assert desk.json("list", "import", path, "--list", "summer")["reasons"] == {"erased": 1}
    assert "was erased" in desk.acd("contact", "add", "--list", "spring", "0171 1234567", code=5).stderr
    assert desk.json("contact", "add", "--list", "spring", "0171 1234567", "--consent-at", "2999-01-01")["contact"] == 4
    assert desk.json("dnc", "list") == {"scopes": {}}
    desk.acd("person", "erase", "0171 1234567", "--yes")
    assert desk.json("list", "import", path, "--list", "autumn", "--allow-erased")["imported"] == 2
    assert not desk.json("person", "erase", "0171 1234567", "--yes", "--no-keep-away")["kept_away"]
    # Who was never on a list only called, and leaves nothing behind
    assert not desk.json("person", "erase", "0171 1234599", "--yes")["kept_away"]
    assert desk.json("list", "import", path, "--list", "winter")["imported"] == 2
    assert "only acd person erase" in desk.acd("dnc", "add", "0171 1", "--scope", "erased", code=2).stderr
    desk.acd("person", "erase", "0171 1234567", "--yes")
    assert desk.json("dnc", "remove", "0171 1234567", "--scope", "erased")["entries"] == 1


def test_a_contact_gets_the_number_of_who_was_erased_only_where_that_is_said(desk: Desk) -> None:
    desk.acd("list", "import", desk.file("name,phone\nAnn,0171 1234567\nBob,0171 1234568\n"), "--list", "spring")
    desk.acd("person", "erase", "0171 1234567", "--yes")
    (bob,) = desk.json("contact", "find", "0171 1234568")["contacts"]
    edit = ("contact", "edit", str(bob["contact"]), "--number", "0171 1234568", "--number", "0171 1234567")
    refused = desk.acd(*edit, "--name", "Bob and Ann", code=5)
    assert "who has +491711234567 was erased" in refused.stderr
    shown = desk.json("contact", "show", str(bob["contact"]))
    assert (shown["name"], [one["number"] for one in shown["numbers"]]) == ("Bob", ["+491711234568"])
    # A consent of before the erasure is none
    assert "was erased" in desk.acd(*edit, "--consent-at", "2020-01-01", code=5).stderr
    assert len(desk.json(*edit, "--allow-erased")["numbers"]) == 2
    assert desk.json("dnc", "list") == {"scopes": {}}
    desk.acd("person", "erase", "0171 1234567", "--yes")
    desk.acd("contact", "add", "--list", "spring", "0171 1234569", "--consent-at", "2999-01-01")
    (other,) = desk.json("contact", "find", "0171 1234569")["contacts"]
    # What is known of the contact's consent counts
    desk.acd("contact", "edit", str(other["contact"]), "--number", "0171 1234567")
    assert desk.json("dnc", "check", "0171 1234567")["listed"] is False


def test_numbers_are_kept_hashed_where_records_are(desk: Desk) -> None:
    desk.configure('numbers = "hashed"\n')
    desk.acd("dnc", "add", "0171 1234567")
    assert desk.json("dnc", "import", desk.file("0171 1234569\n"))["added"] == 1
    assert all(one["number"].startswith("hmac:") for one in desk.json("dnc", "list", "--all")["entries"])
    for number in ("0171 1234567", "0171 1234569"):
        assert desk.json("dnc", "check", number, code=1)["listed"]
    # Made with a key that is gone, they would be found no more
    (desk.folder / "state" / "number.key").unlink()
    assert "another key" in desk.acd("dnc", "check", "0171 1234567", code=1).stderr
    assert "another key" in desk.acd("dnc", "import", desk.file("0171 1234560\n"), code=1).stderr


@pytest.mark.parametrize(
    "text",
    [
        f"0171 1234567\nnobody\n{HASH}\n",
        f"\ufeff0171 1234567\r\nnobody\r\nsha256:{HASH.upper()}\r\n",
        f"name;phone\n=1+1;0171 1234567\nx;nobody\ny;{HASH}\n",
        f"number\n+491711234567\nnobody\n{HASH}\n",
        f'x,0171 1234567\n"open,nobody\ny,{HASH}\n',
    ],
)
def test_a_file_of_any_shape_is_taken_and_its_bad_lines_are_named(desk: Desk, text: str) -> None:
    bad = desk.folder / "bad.csv"
    found = desk.json("dnc", "import", desk.file(text), "--bad", str(bad), "--until", "90d", code=1)
    assert (found["rows"], found["taken"], found["bad"], found["hashed"], found["added"]) == (3, 2, 1, 1, 2)
    (line,) = found["bad_lines"]
    assert text.splitlines()[line["line"] - 1].count("nobody") == 1
    assert len(bad.read_text().splitlines()) == 2
    for number in ("0171 1234567", "0171 1234568"):
        (entry,) = desk.json("dnc", "check", number, code=1)["entries"]
        assert entry["source"] == "file.csv"
        assert entry["until"] == pytest.approx(time.time() + 90 * 86_400, abs=60)
    assert desk.json("dnc", "import", desk.file(text), "--until", "2d", code=1)["added"] == 0
    assert desk.audit() == [("dnc_imported", "all")] * 2


def test_bad_lines_are_bounded_and_no_formulas(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acd.lists.donotcall.PIECE", 7)
    text = "".join(f"=bad{line}\n" for line in range(30)) + "x" * 300_000 + "\n0171 1234567\n"
    bad = desk.folder / "bad.csv"
    found = desk.json("dnc", "import", desk.file(text), "--bad", str(bad), code=1)
    assert (found["rows"], found["bad"], found["added"], len(found["bad_lines"])) == (32, 31, 1, 20)
    assert sum(found["reasons"].values()) == 31
    lines = bad.read_text().splitlines()
    assert (len(lines), lines[1].endswith(",'=bad0"), max(map(len, lines)) < 500) == (32, True, True)
    assert "11 more" in desk.acd("dnc", "import", desk.file(text), code=1).stdout
    good = desk.file("0171 1234567\n")
    assert desk.json("dnc", "import", good)["bad"] == 0


def test_a_row_that_is_half_wrong_keeps_its_number_uncalled(desk: Desk) -> None:
    found = desk.json("dnc", "import", desk.file("phone;mobile\nnobody;0171 1234567\n"), code=1)
    assert (found["bad"], found["numbers"], found["added"]) == (1, 1, 1)
    desk.acd("dnc", "check", "0171 1234567", code=1)


@pytest.mark.parametrize("numbers", ["plain", "hashed"])
def test_numbers_without_plus_bar_the_people_they_are(desk: Desk, numbers: str) -> None:
    desk.configure(f'numbers = "{numbers}"\n')
    path = desk.file("phone\n4915112345679\n491701234567\n493012345678.0\n")
    assert desk.json("dnc", "import", path)["added"] == 3
    for number in ("+4915112345679", "4915112345679", "+49 170 1234567", "030 12345678"):
        assert desk.json("dnc", "check", number, code=1)["listed"]
    # Dialled as either, it is barred
    found = desk.json("dnc", "import", desk.file("phone\n4921123456\n"))
    assert (found["rows"], found["numbers"], found["both"], found["added"], found["bad"]) == (1, 2, 1, 2, 0)
    for number in ("+4921123456", "0211 23456", "+494921123456", "04921 123456", "4921123456"):
        assert desk.json("dnc", "check", number, code=1)["listed"]
    assert "both readings are listed" in desk.acd("dnc", "import", desk.file("phone\n4922123456\n")).output
    told = desk.acd("dnc", "add", "49221123456").stdout
    assert told.count("is not to be called (all)") == 2
    assert desk.json("dnc", "check", "49221123456", code=1)["numbers"] == ["+49221123456", "+4949221123456"]
    # One of the two is nobody's to take away
    assert "write + or 00" in desk.acd("dnc", "remove", "4921123456", code=1).stderr
    assert desk.json("dnc", "remove", "+494921123456")["entries"] == 1
    assert desk.json("dnc", "check", "4921123456", code=1)["listed"]
    assert desk.json("dnc", "remove", "+4921123456")["entries"] == 1
    assert "neither +4921123456 nor +494921123456 is listed" in desk.acd("dnc", "check", "4921123456").stdout


def test_what_may_be_two_numbers_becomes_no_contact(desk: Desk) -> None:
    path = desk.file("phone;name\n4921123456;Ann\n4915112345679;Jürgen\n")
    report = desk.json("list", "import", path, "--list", "a")
    assert (report["imported"], report["reasons"]) == (1, {"ambiguous": 1})
    (rejected,) = desk.json("list", "rejects", "a")["rejects"]
    assert (rejected["line"], rejected["reason"]) == (2, "ambiguous")
    assert desk.json("contact", "find", "+4915112345679")["contacts"]
    for command in (("add", "4921123456", "--list", "a"), ("edit", "1", "--number", "4921123456")):
        assert "write + or 00" in desk.acd("contact", *command, code=1).stderr
    assert desk.json("contact", "add", "4930123456", "--list", "a")["numbers"] == ["+4930123456"]


def test_an_import_says_that_a_file_is_of_two_encodings(desk: Desk) -> None:
    text = "phone;name\n0171 1234567;Jürgen\n0171 1234568;Müller\n".encode() + b"0171 1234569;G\xfcnther\n"
    report = desk.json("list", "import", desk.file(text), "--list", "a", "--dry-run")
    assert (report["read"]["encoding"], report["read"]["encoding_strays"]) == ("utf-8", "cp1252")
    for more in (("--dry-run",), ()):
        told = desk.acd("list", "import", desk.file(text), "--list", "a", *more).output
        assert "not utf-8 throughout" in told
    assert desk.json("contact", "find", "0171 1234569")["contacts"][0]["name"] == "Günther"
    assert "not utf-8 throughout" in desk.acd("dnc", "import", desk.file(text)).output
