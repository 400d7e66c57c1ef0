"""What may be dialled: the grammar of devices, at log-in and on the way to Dial()."""

from __future__ import annotations

import pytest

from acd.asterisk.executor import dial_string
from acd.domain.commands import Reply
from acd.domain.definition import AgentDefinition, FloorDefinition, QueueDefinition
from acd.domain.devices import proper_device
from acd.domain.events import AgentAction, AgentRequested
from acd.domain.instant import Instant
from acd.floor import Floor

HOSTILE = (
    "Foo/${SHELL(id)}",
    'x,y"&Local/1@foo',
    "PJSIP/1001&PJSIP/1002",
    "PJSIP/1001,30",
    "PJSIP/10|01",
    "PJSIP/{x}",
    "1002",
    "PJSIP/",
    "PJSIP/a b",
    "PJSIP/a\nb",
    "PJSIP/é",
    "",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_device_is_neither_taken_nor_dialled(text):
    assert proper_device(text) is None
    assert dial_string((text,)) == ""
    answer, floor = _log_in("bob", text)
    assert not answer.ok
    assert floor.roster.agents["bob"].state == "LOGGED_OUT"


@pytest.mark.parametrize(
    ("text", "proper"),
    [("PJSIP/1001", "PJSIP/1001"), ("pjsip/1001", "PJSIP/1001"), ("PJSIP/+4930@trunk", "PJSIP/+4930@trunk")],
)
def test_devices_are_spelled_as_asterisk_spells_them(text, proper):
    assert proper_device(text) == proper


def test_one_phone_is_one_phone_however_it_is_spelled():
    floor = _floor()
    assert _ask(floor, "anna", None).ok
    answer = _ask(floor, "bob", "pjsip/DESK-1")
    assert not answer.ok
    assert "in use by agent anna" in answer.message


def test_every_contact_of_an_endpoint_rings_and_a_number_behind_a_trunk_as_it_is():
    assert dial_string(("PJSIP/1001", "pjsip/2@trunk")) == "${PJSIP_DIAL_CONTACTS(1001)}&PJSIP/2@trunk"


def _floor() -> Floor:
    agents = {
        name: AgentDefinition(name, number, (f"PJSIP/{phone}",), ("main",))
        for name, number, phone in (("anna", "1", "desk-1"), ("bob", "2", "desk-2"))
    }
    return Floor(FloorDefinition({"main": QueueDefinition("main")}, agents, {}), epoch=1, started_at=1000.0)


def _ask(floor: Floor, agent: str, phone: str | None) -> Reply:
    event = AgentRequested(1000.0, agent, AgentAction.LOGIN, None, phone, "r")
    step = floor.handle(event, Instant(0.0, 1000.0))
    (reply,) = [command for command in step.commands if isinstance(command, Reply)]
    return reply


def _log_in(agent: str, phone: str) -> tuple[Reply, Floor]:
    floor = _floor()
    return _ask(floor, agent, phone), floor
