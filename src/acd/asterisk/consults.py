"""The other calls that agents' phones make in mid-conversation, from the first they dial until their channel hangs up.

Somebody is on the line there while that channel is in a bridge; Hold and Unhold of it tell whether the phone holds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acd.domain import events as ev

if TYPE_CHECKING:
    from acd.asterisk.translate import OfferTrack

_MAX_TRACKED = 100_000


@dataclass(slots=True)
class _Consult:
    """``track``: whose conversation it is beside."""

    track: OfferTrack
    up: bool = False
    on_hold: bool = False


class Consults:
    """Tells ``submit`` of each; of those whose conversation is over nothing more."""

    def __init__(self, submit: Callable[[ev.Event], None]) -> None:
        self._submit = submit
        self._of: dict[str, _Consult] = {}

    def __len__(self) -> int:
        return len(self._of)

    def __contains__(self, channel: str) -> bool:
        return channel in self._of

    def clear(self) -> None:
        """Forget all of them."""
        self._of.clear()

    def begins(self, channel: str, track: OfferTrack, target: str, at: float) -> None:
        """The phone that talks in ``track`` calls ``target`` on another channel."""
        if self._take_up(channel, track):
            self._submit(ev.ConsultBegan(at, track.offer, target, channel))

    def prime(self, channel: str, track: OfferTrack, *, up: bool) -> None:
        """Take up one that was there before we looked. The look tells of it."""
        if self._take_up(channel, track):
            self._of[channel].up = up

    def _take_up(self, channel: str, track: OfferTrack) -> bool:
        if channel in self._of or channel == track.caller or channel in track.legs:
            return False
        if len(self._of) >= _MAX_TRACKED:
            del self._of[next(iter(self._of))]
        self._of[channel] = _Consult(track)
        return True

    def bridged(self, channel: str, at: float, *, up: bool) -> None:
        """``channel`` enters a bridge or leaves it."""
        consult = self._of.get(channel)
        if consult is not None and consult.up is not up:
            consult.up = up
            self._tell(channel, consult, at)

    def held(self, channel: str, at: float, *, on: bool) -> None:
        """The phone puts ``channel`` on hold, or takes it back."""
        consult = self._of.get(channel)
        if consult is not None and consult.on_hold is not on:
            consult.on_hold = on
            self._tell(channel, consult, at)

    def _tell(self, channel: str, consult: _Consult, at: float) -> None:
        # Whose conversation is being left belongs to its end
        if not consult.track.over and consult.track.left is None:
            self._submit(ev.ConsultChanged(at, consult.track.offer, channel, consult.up, consult.on_hold))

    def ends(self, channel: str, at: float) -> OfferTrack | None:
        """``channel`` is gone. Beside which conversation it was, if it was one of these."""
        consult = self._of.pop(channel, None)
        if consult is None:
            return None
        if not consult.track.over:
            self._submit(ev.ConsultEnded(at, consult.track.offer, channel))
        return consult.track
