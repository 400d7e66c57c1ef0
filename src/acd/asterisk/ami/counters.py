"""What a manager session counts. Figures only; the metrics page and the log decide what to make of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class AmiCounters:
    """Since the session was made; never reset, not even by a reconnect."""

    # the wire
    events: int = 0
    """events taken in, items of lists included"""
    responses: int = 0
    unwanted: int = 0
    """events passed over by their first line"""
    put_off: int = 0
    """times that reading was put off, since nobody was in a hurry"""
    dropped: int = 0
    """messages over the size cap, thrown away"""
    malformed: int = 0
    """lines that are no header, and messages that are neither event nor response"""
    handler_errors: int = 0
    """exceptions of on_event, on_up and on_down, caught"""
    # the actions
    timeouts: int = 0
    late: int = 0
    """answers that came after their deadline, and were ignored"""
    unmatched: int = 0
    """responses to nothing we sent"""
    refused: int = 0
    """actions not accepted, because the session was down or Asterisk did not read or answer"""
    # the connection
    attempts: int = 0
    """connections tried"""
    reconnects: int = 0
    """times the session came up again after having been up"""
    auth_failures: int = 0
