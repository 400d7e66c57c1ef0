"""An agent's lasting line: the one call on which his phone stays for the whole shift, in the place of being rung."""

from __future__ import annotations

from dataclasses import dataclass

from acd.domain.states import LineStage


@dataclass(slots=True)
class LastingLine:
    """``channel``: its Uniqueid on ``node``, also of one that rings; ``waits``: it is in its waiting place; ``on_hold``: the
    phone holds it. ``until_mono``: when something is to be done about it if nothing happens (monotonic s); ``looked``: that
    moment has been, and a second one decides. ``tries``: how
    often it was called for since it was lost, ``None`` where nobody calls again. ``detail``: why there is none.
    ``touched_at``: when it was heard of last (UTC s)."""

    stage: LineStage = LineStage.DOWN
    node: str = ""
    channel: str = ""
    channel_name: str = ""
    waits: bool = False
    on_hold: bool = False
    until_mono: float | None = None
    looked: bool = False
    tries: int | None = None
    detail: str = ""
    touched_at: float = 0.0

    @property
    def is_up(self) -> bool:
        """Whether there is one."""
        return self.stage is LineStage.UP

    @property
    def why_not(self) -> str | None:
        """Why nobody can be put through on it now, or None if somebody can."""
        if not self.is_up:
            return "no line"
        if self.on_hold:
            return "line on hold"
        return None if self.waits else "line in use"

    def be(self, stage: LineStage, *, node: str = "", channel: str = "", channel_name: str = "") -> None:
        """Begin a stage: what belonged to the one before is gone."""
        self.stage, self.node, self.channel, self.channel_name = stage, node, channel, channel_name
        self.waits, self.on_hold, self.until_mono, self.looked = False, False, None, False
