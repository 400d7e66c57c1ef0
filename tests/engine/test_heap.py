"""What the garbage collector is spared."""

from __future__ import annotations

import gc
import weakref

from acd.engine.heap import keep_what_there_is


class _Knot:
    def __init__(self) -> None:
        self.me = self


def test_what_there_is_stays_and_what_comes_is_collected() -> None:
    early, late = _Knot(), _Knot()
    kept, garbage = weakref.ref(early), weakref.ref(late)
    del late
    try:
        keep_what_there_is()
        assert garbage() is None
        del early
        after = weakref.ref(_Knot())
        gc.collect()
        assert kept() is not None
        assert after() is None
    finally:
        gc.unfreeze()
        gc.collect()
    assert kept() is None
