"""A life that began without its database takes callers of former lives as calls of its own, from now on."""

from __future__ import annotations

import pytest
from floorkit import Clock, define

from acd.domain.events import CallArrived, NodeResynced, Phase, SeenCall
from acd.domain.lives import ALONE_FIRST
from acd.domain.place import Place
from acd.domain.records import CallOpened
from acd.floor import Floor

WAS = "00000100000001"


@pytest.mark.parametrize(("epoch", "anew"), [(2, False), (ALONE_FIRST, True)])
@pytest.mark.parametrize("how", ["asks", "is seen"])
def test_who_was_in_line_before_keeps_his_rank_and_enters_now(epoch: int, anew: bool, how: str) -> None:
    clock = Clock()
    began = clock.now.utc
    clock.s = 60.0
    floor = Floor(define("queue main\ndid 100 main"), epoch=epoch, started_at=clock.now.utc)
    place = Place("main", 0, began + 1, 7, began + 1, began)
    if how == "asks":
        event = CallArrived(began, "n", "c1", "PJSIP/x", "c1", "100", "5551", call=WAS, place=place)
        records = floor.handle(event, clock.now).records
    else:
        seen = SeenCall("c1", "PJSIP/x", "c1", Phase.HELD, WAS, place, did="100", caller_number="5551")
        records = floor.handle(NodeResynced(clock.now.utc, "n", (seen,), {}), clock.now).records
    (opened,) = [record for record in records if isinstance(record, CallOpened)]
    assert opened.call != WAS
    assert opened.entered_at == (clock.now.utc if anew else began)
    (call,) = floor.calls.values()
    assert call.place.joined_at == began + 1


@pytest.mark.parametrize(("epoch", "anew"), [(2, False), (ALONE_FIRST, True)])
def test_who_came_back_before_it_began_enters_now(epoch: int, anew: bool) -> None:
    """Nobody answered him, so he bears no place any more; whom he was ended when this life began at the latest."""
    clock = Clock()
    began = clock.now.utc
    clock.s = 60.0
    floor = Floor(define("queue main\ndid 100 main"), epoch=epoch, started_at=clock.now.utc)
    event = CallArrived(began, "n", "c1", "PJSIP/x", "c1", "100", "5551", call=WAS)
    (opened,) = [one for one in floor.handle(event, clock.now).records if isinstance(one, CallOpened)]
    assert (opened.call != WAS, opened.entered_at) == (True, clock.now.utc if anew else began)
