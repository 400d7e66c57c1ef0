"""What the FastAGI server counts. Figures only; the metrics page and the log decide what to make of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class AgiCounters:
    """Since the server was made; never reset."""

    connections: int = 0
    sessions: int = 0
    """connections that brought a whole header for a known path"""
    refused: int = 0
    """connections closed at once, because there were too many or the server was closing"""
    probes: int = 0
    """connections closed by the other side before a whole header had come"""
    header_timeouts: int = 0
    malformed: int = 0
    """connections that brought something else than an AGI header, or too much of it"""
    unknown_paths: int = 0
    handler_errors: int = 0
    handler_timeouts: int = 0
    command_timeouts: int = 0
    ended_early: int = 0
    """sessions closed by Asterisk while the handler had something left to ask"""
    hangups: int = 0
    """sessions in which the channel hung up, or was redirected"""
    stray_lines: int = 0
    """lines that answered no command, and were ignored"""
