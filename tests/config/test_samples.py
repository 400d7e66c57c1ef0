"""The samples are right as they stand, and `write_samples` makes a private copy that works."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from acd.asterisk.translate import WANTED
from acd.config import load_floor, load_settings, samples_dir, verify_pin, write_samples
from acd.config.settings import AsteriskNode, Settings
from acd.domain.errors import ConfigurationError

SOURCE = Path(__file__).parents[2] / "config"


def test_the_source_trees_samples_are_found() -> None:
    assert samples_dir() == SOURCE


def test_the_sample_floor_is_right_as_it_stands() -> None:
    loaded = load_floor(SOURCE / "floor.yaml")
    assert loaded.warnings == ()
    assert list(loaded.definition.queues) == ["sales", "support", "billing"]
    assert len(loaded.definition.agents) == 4
    pins = zip(loaded.definition.agents.values(), ("1111", "2222", "3333", "4444"), strict=True)
    assert all(agent.pin_hash and verify_pin(pin, agent.pin_hash) for agent, pin in pins)


def test_a_copy_works_and_has_its_own_secrets(tmp_path: Path) -> None:
    one, two = (write_samples(tmp_path / name / "deeper") for name in ("one", "two"))
    seen = set()
    for made in (one, two):
        folder = made.files[0].parent
        assert [str(path.relative_to(folder)) for path in made.files] == [
            "acd.toml",
            "floor.yaml",
            "manager_acd.conf",
            "pjsip_acd.conf",
            "secrets/ami-calls",
            "secrets/ami-looks",
            "secrets/agent-pins",
        ]
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in made.files)
        assert stat.S_IMODE((folder / "secrets").stat().st_mode) == 0o700
        loaded = load_settings(folder / "acd.toml", {})
        assert loaded.warnings == ()
        node = loaded.settings.asterisk["pbx1"]
        manager = (folder / "manager_acd.conf").read_text()
        secrets = [node.secret("call").get_secret_value(), node.secret("look").get_secret_value()]
        assert re.findall(r"^secret = (.*)$", manager, re.MULTILINE) == secrets
        passwords = re.findall(r"^password = (.*)$", (folder / "pjsip_acd.conf").read_text(), re.MULTILINE)
        assert len(passwords) == 5
        assert all(len(secret) >= 32 for secret in (*secrets, *passwords))
        seen |= {*secrets, *passwords}
        floor = load_floor(loaded.settings.floor.file)
        assert floor.warnings == ()
        agents = floor.definition.agents
        assert all(verify_pin(made.pins[name], agent.pin_hash or "") for name, agent in agents.items())
        assert (folder / "secrets/agent-pins").read_text() == "".join(f"{a} {pin}\n" for a, pin in made.pins.items())
        hashes = {agent.pin_hash for agent in agents.values()}
        assert not hashes & {agent.pin_hash for agent in load_floor(SOURCE / "floor.yaml").definition.agents.values()}
        assert not [path for path in made.files if "CHANGE-ME" in path.read_text()]
    assert len(seen) == 14


@pytest.mark.parametrize("present", ["floor.yaml", "secrets/ami-calls"])
def test_nothing_is_overwritten_or_half_written(present: str, tmp_path: Path) -> None:
    (tmp_path / present).parent.mkdir(exist_ok=True)
    (tmp_path / present).write_text("mine")
    with pytest.raises(ConfigurationError) as caught:
        write_samples(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / present} exists already and is not overwritten; move it away or choose another folder"
    )
    assert (tmp_path / present).read_text() == "mine"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / present]


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "acd.toml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="exists already"):
        write_samples(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError) as caught:
        write_samples(tmp_path / "file" / "x")
    assert str(caught.value) == f"cannot write {tmp_path}/file/x/secrets: Not a directory"


def test_every_key_stands_in_the_sample_with_its_default() -> None:
    """Keys in acd.toml that stand behind a # say the default, so uncommenting them must change nothing."""
    text = (SOURCE / "acd.toml").read_text()
    shown = set(re.findall(r"^(?:# )?([a-z_]+) = ", text, re.MULTILINE))
    tables = (AsteriskNode, *(field.annotation for name, field in Settings.model_fields.items() if name != "asterisk"))
    known = {name for table in tables for name in table.model_fields}
    assert known - shown <= {"call_secret", "look_secret"}
    assert shown <= known
    defaults = {name: field.default for table in tables for name, field in table.model_fields.items()}
    said = dict(re.findall(r"^# ([a-z_]+) = (\d+|true|false)$", text, re.MULTILINE))
    assert len(said) >= 6
    # the port of [http] is off by default, so it is an example; that of [agi] is the other `port`
    assert {name: value for name, value in said.items() if name != "port"} == {
        name: str(defaults[name]).lower() for name in said if name != "port"
    }


def test_the_event_filter_lets_through_what_is_read() -> None:
    text = (SOURCE / "manager_acd.conf").read_text()
    assert set(re.findall(r"^eventfilter\(name\((\w+)\)\) =$", text, re.MULTILINE)) == WANTED
