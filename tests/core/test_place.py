"""A place survives its way over a channel; anything else that stands there is no place, and does no harm."""

from __future__ import annotations

import math
import random
import string
from dataclasses import replace

import pytest
from floorkit import UTC_0

from acd.domain.place import MAX_CHARS, Place

PLACE = Place("sales", -3, UTC_0 + 0.25, 100_000_042, UTC_0 + 7.125, UTC_0)


def test_text() -> None:
    assert PLACE.encode() == "sales:-3:1700000000.250000:100000042:1700000007.125000:1700000000.000000"


def test_there_and_back() -> None:
    assert Place.decode(PLACE.encode()) == PLACE


def test_what_is_written_again_stays_the_same() -> None:
    """A place that came from a channel is written back as it was, whatever its digits; else each life would move it."""
    r = random.Random(1)
    for _ in range(2_000):
        times = [r.uniform(1e9, 2e9) for _ in range(3)]
        place = Place("q", r.randint(-100, 100), times[0], r.randint(0, 10**14), times[1], times[2])
        decoded = Place.decode(place.encode())
        assert decoded is not None
        assert decoded.encode() == place.encode()
        assert abs(decoded.joined_at - place.joined_at) < 1e-6


def test_order_survives() -> None:
    """Callers a microsecond apart keep their order; those within it are told apart by the serial."""
    a, b = Place("q", 0, UTC_0 + 1e-6, 1, UTC_0, UTC_0), Place("q", 0, UTC_0 + 2e-6, 0, UTC_0, UTC_0)
    back = [Place.decode(place.encode()) for place in (a, b)]
    keys = [(place.joined_at, place.serial) for place in back if place is not None]
    assert keys == sorted(keys)
    assert len(keys) == 2


@pytest.mark.parametrize("queue", ["sales", "Büro", "a-b_c.d", "q" * 60])
def test_queue_names(queue: str) -> None:
    place = Place(queue, 0, UTC_0, 0, UTC_0, UTC_0)
    assert Place.decode(place.encode()) == place


def test_nothing_in_it_needs_quoting() -> None:
    assert not set(PLACE.encode()) & set(" ,'\"\\;|\r\n$")


def test_it_is_never_longer_than_a_line() -> None:
    """What does not fit stays off the channel; what else fits, and who is barred, does not."""
    wide = {"zz": "x"} | {f"word{n}": "ä" * 190 for n in range(50)} | {"tier": "gold"}
    barred = tuple((f"{n}" * 40, "escalated_" * 2) for n in range(8))
    for place in (PLACE, replace(PLACE, barred=barred), replace(PLACE, queue="q" * 60)):
        full = place.with_attributes(wide)
        assert len(full.encode()) <= MAX_CHARS
        back = Place.decode(full.encode())
        assert back is not None
        assert back.barred == place.barred
        assert back.attributes.items() <= full.attributes.items()
        assert back.attributes["zz"] == "x"


HOSTILE = [
    "",
    ":",
    ":::::",
    "sales",
    "sales:0:1:1:1",
    "sales:0:1:1:1:1:x=1:1",
    ":0:1:1:1:1",
    "sales::1:1:1:1",
    "sales:x:1:1:1:1",
    "sales:1.5:1:1:1:1",
    "sales:0:nan:1:1:1",
    "sales:0:1:1:inf:1",
    "sales:0:1:1:1:-inf",
    "sales:0:-1:1:1:1",
    "sales:0:1e300:1:1:1",
    "sales:0:1:1e3:1:1",
    "sales:0:0x10:1:1:1",
    "sales:0:1:1:1:1\r\nAction: Hangup",
    "sales:" + "9" * 5_000 + ":1:1:1:1",
    "sales:0:" + "9" * 5_000 + ":1:1:1",
    "${SHELL(reboot)}:0:1:1:1:",
    "\x00" * 10,
    "sales:0:1:1:1:1".replace(":", "："),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile(text: str) -> None:
    assert Place.decode(text) is None


def test_random_text_never_raises() -> None:
    r = random.Random(2)
    alphabet = string.printable + "٣²∞é\x00\ud800"
    for _ in range(20_000):
        text = "".join(r.choices(alphabet + "::::0123456789", k=r.randint(0, 40)))
        place = Place.decode(text)
        assert place is None or (place.queue and math.isfinite(place.joined_at))


def test_broken_places_never_raise() -> None:
    r = random.Random(3)
    for _ in range(20_000):
        text = list(PLACE.encode())
        for _ in range(r.randint(1, 3)):
            text[r.randrange(len(text))] = r.choice(":.-+eE_ 0199nai")
        place = Place.decode("".join(text))
        if place is not None:
            times = (place.joined_at, place.queue_joined_at, place.entered_at)
            assert all(0 <= t < 1e11 for t in times)
            assert place.queue
