"""The floor: composes the pure rooms. ``Floor.handle(event, now) -> Step``; ``Floor.next_deadline()``. No IO, no clock."""

from acd.floor.core import Floor, Step

__all__ = ["Floor", "Step"]
