"""[records], [retention] and dispositions: what they mean and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from acd.cli.databaseurl import numbering_of, policy_of
from acd.config import load_settings
from acd.config.floor import parse_floor
from acd.config.problems import Problems, ProblemsError
from acd.config.settings import Settings
from acd.records.retention import DAY_S, Policy

BASE = '[asterisk.a]\ncall_secret = "x"\nlook_secret = "y"\n'


def load(folder: Path, text: str) -> Settings:
    path = folder / "acd.toml"
    path.touch(mode=0o600)
    path.write_text(BASE + text)
    return load_settings(path, {}).settings


def test_nothing_goes_and_numbers_are_plain_unless_said(tmp_path: Path) -> None:
    settings = load(tmp_path, "")
    assert policy_of(settings.retention) == Policy()
    assert policy_of(settings.retention).limits(0) == {}
    assert (settings.records.numbers, settings.records.mask) == ("plain", True)
    assert settings.records.recordings == Path("/var/lib/acd/recordings")


def test_days_numbering_and_the_folder_of_recordings(tmp_path: Path) -> None:
    days = "callers_days = 2\naudit_days = 3\nlists_days = 4\n"
    text = f'[records]\nrecordings = "sound"\ncountry_code = "49"\n[retention]\n{days}'
    settings = load(tmp_path, text)
    assert settings.records.recordings == tmp_path / "sound"
    assert numbering_of(settings.records).canonical("0171") == "49171"
    policy = policy_of(settings.retention)
    assert policy.days() == {"callers": 2, "lists": 4, "audit": 3, "set_aside": 2}
    assert policy.limits(10 * DAY_S) == {kind: (10 - days) * DAY_S for kind, days in policy.days().items()}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('[records]\nnumbers = "hashed"\n[journal]\ndirectory = "j"\n', "holds every number"),
        ('[records]\nnumbers = "hash"\n', "'plain' or 'hashed'"),
        ('[records]\ncountry_code = "+49"\n', "country_code"),
        ('[records]\nnumber = "plain"\n', "nearest right name: numbers"),
        ("[retention]\ncalls_days = 0\n", "calls_days"),
        ("[retention]\ncall_days = 5\n", "nearest right name: calls_days"),
        ("[retention]\ncalls_days = 36501\n", "calls_days"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, wrong: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        load(tmp_path, text)
    assert wrong in str(caught.value)


FLOOR = "queues: {main: {dispositions: [sold, 'called back']}, other: {}}\ndispositions: [lost]\n"


def test_dispositions_of_a_queue_and_of_all_others() -> None:
    definition = parse_floor(FLOOR, Problems("floor.yaml")).definition
    assert definition.dispositions_of("main") == ("sold", "called back")
    assert definition.dispositions_of("other") == definition.dispositions_of("gone") == ("lost",)


@pytest.mark.parametrize("word", ["''", "' x'", '"a\\tb"', "x" * 61, "[a]", "{a: b}"])
def test_what_is_no_disposition_is_named(word: str) -> None:
    with pytest.raises(ProblemsError, match="disposition"):
        parse_floor(f"queues: {{main: {{}}}}\ndispositions: [lost, {word}]\n", Problems("floor.yaml"))
