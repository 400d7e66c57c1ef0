"""Who called whom."""

from __future__ import annotations

from enum import StrEnum

from acd.domain.outbound import ATTEMPT


class Direction(StrEnum):
    """People called a queue, or a campaign called people."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"

    @classmethod
    def of(cls, channel: str) -> Direction:
        """Of a call that has this channel: what is dialled has its attempt's id for one."""
        return cls.OUTBOUND if ATTEMPT.fullmatch(channel) else cls.INBOUND
