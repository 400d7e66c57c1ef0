"""Hashed numbers and the key they are hashed with."""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from pathlib import Path

import pytest

from acd.domain.errors import ConfigurationError
from acd.domain.numbers import Numbering
from acd.records.seal import KEY_FILE, Seal, found_seal, load_seal
from acd.store.sealing import is_sealed

HERE = Numbering("49", "0")


def test_all_spellings_have_one_hash_and_other_keys_another() -> None:
    seal = Seal(b"k" * 32, HERE)
    found = {seal.of(text) for text in ("+49171123", "0049171123", "0171 123", "49171123")}
    assert len(found) == 1
    (sealed,) = found
    assert is_sealed(sealed)
    assert "171123" not in sealed
    assert Seal(b"K" * 32, HERE).of("+49171123") != sealed
    assert seal.of("") == ""
    assert is_sealed(seal.of("a\ud800\0b"))


@pytest.mark.parametrize("word", ["", "anonymous", "Anonymous", "<unknown>", "restricted"])
def test_a_withheld_number_stays_one(word: str) -> None:
    assert Seal(b"k" * 32, HERE).of(word) == word


def test_what_withheld_numbers_were_before_is_known() -> None:
    seal = Seal(b"k" * 32, HERE)
    before = hmac.new(b"k" * 32, b"anonymous", hashlib.sha256).hexdigest()[:32]
    assert f"hmac:{before}" in seal.withheld()
    assert seal.of("+49171123") not in seal.withheld()


def test_whoever_only_reads_makes_no_key(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert found_seal(state, HERE) is None
    assert not state.exists()
    made = load_seal(state, HERE)
    found = found_seal(state, HERE)
    assert found is not None
    assert found.of("1") == made.of("1")
    (state / KEY_FILE).chmod(0o644)
    assert found_seal(state, HERE) is None


def test_a_caller_who_calls_himself_a_hash_is_hashed() -> None:
    seal = Seal(b"k" * 32, HERE)
    assert seal.of(seal.of("+49171123")) != seal.of("+49171123")


def test_the_key_is_made_once_for_the_service_s_user_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = load_seal(state, HERE)
    assert load_seal(state, HERE).of("1") == first.of("1")
    assert (state / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert os.listdir(state) == [KEY_FILE]


def test_two_that_begin_at_once_have_one_key(tmp_path: Path) -> None:
    found: list[str] = []
    gate = threading.Barrier(8)

    def begin() -> None:
        gate.wait()
        found.append(load_seal(tmp_path, HERE).of("1"))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({*found}) == 1


def test_a_key_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    load_seal(tmp_path, HERE)
    path = tmp_path / KEY_FILE
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_seal(tmp_path, HERE)
    path.chmod(0o600)
    path.write_text("00ff\n")
    with pytest.raises(ConfigurationError, match="no key"):
        load_seal(tmp_path, HERE)
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(ConfigurationError):
        load_seal(tmp_path, HERE)
