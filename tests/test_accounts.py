"""Users of this machine as the audit log names them, whoever writes it."""

from __future__ import annotations

import os
import pwd

import pytest

from acd.accounts import user_of
from acd.api import peer
from acd.records import trail

NOBODYS = 4_000_001


def test_a_user_has_a_name_or_a_number() -> None:
    assert user_of(os.getuid()) == f"user:{pwd.getpwuid(os.getuid()).pw_name}"
    assert user_of(NOBODYS) == f"uid:{NOBODYS}"


def test_commands_and_the_service_name_users_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    assert peer.user_of is trail.user_of is user_of
    monkeypatch.setattr(os, "getuid", lambda: NOBODYS)
    assert trail.me() == f"uid:{NOBODYS}"
