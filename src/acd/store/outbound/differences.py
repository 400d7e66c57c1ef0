"""Why the ledger's windows count otherwise than the attempts of a stretch of time: for every kind of window that does, by
what is known of both. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_KINDS = {"day": "days", "month": "months", "days30": "30 days", "campaign": "whole campaign"}
_NEGLIGIBLE = 0.005
"""Figures of windows are rounded."""


class Reached(NamedTuple):
    """By attempts: people who answered, whom of them attempts tell as abandoned, and who opted out and had no agent; beside
    them people whose call is not over, or was not when a crash came."""

    people: int
    abandoned: int
    opted_out: int
    in_call: int = 0


def difference(
    window: str, windows: Sequence[Mapping[str, Any]], inside: Reached, outside: Reached
) -> dict[str, Any] | None:
    """What windows of one kind count beside ``inside``, the attempts of the stretch; None: nothing. JSON-able::

        {"window", "answered", "charged", "share", "parts": [{"what", "answered", "charged", "detail"}], "detail"}

    ``parts`` add up to what they count more (or less) than the attempts. ``outside``: attempts that lie in the windows, and
    not in the stretch.
    """
    answered, abandoned, misjudged, unknown = (
        round(sum(one[key] for one in windows), 3) for key in ("answered", "abandoned", "misjudged", "unknown")
    )
    charged = round(abandoned + misjudged + unknown, 3)
    if not _tells(answered - inside.people) and not _tells(charged - inside.abandoned):
        return None
    more = answered - misjudged - inside.people - outside.people
    more_charged = abandoned - inside.abandoned - outside.abandoned
    opted_out = min(float(inside.opted_out + outside.opted_out), max(0.0, more_charged))
    more_charged -= opted_out
    elsewhere = min(max(0.0, -more), unknown)
    in_call = min(float(inside.in_call + outside.in_call), max(0.0, more))
    more -= in_call
    missed = f"{misjudged:g} are people that machine detection is expected to have hung up on"
    parts = [
        ("outside_period", outside.people, outside.abandoned, _outside(outside, len(windows))),
        ("opted_out", 0.0, opted_out, f"{opted_out:g} who opted out and had no agent count as abandoned"),
        ("in_call", in_call, 0.0, f"{in_call:g} answered and are in a call"),
        ("machine_detection", misjudged, misjudged, missed),
        ("unknown", -elsewhere, unknown, _unknown(unknown, elsewhere)),
        ("other", more + elsewhere, more_charged, _other(more + elsewhere, more_charged)),
    ]  # fmt: skip
    told = [
        {"what": what, "answered": round(of_all, 3), "charged": round(of_charged, 3), "detail": detail}
        for what, of_all, of_charged, detail in parts
        if _tells(of_all) or _tells(of_charged)
    ]
    share = round(charged / answered, 5) if answered else None
    rate = "" if share is None else f" ({share:.2%})"
    begins = f"{charged:g} of {answered:g}{rate} charged, by attempts {inside.abandoned} of {inside.people}"
    return {
        "window": window, "answered": answered, "charged": charged, "share": share, "parts": told,
        "detail": ": ".join(filter(None, (begins, "; ".join(str(one["detail"]) for one in told)))),
    }  # fmt: skip


def words(kind: str) -> str:
    """A kind of window, as a label."""
    return _KINDS.get(kind, kind)


def _tells(figure: float) -> bool:
    return abs(figure) > _NEGLIGIBLE


def _outside(outside: Reached, windows: int) -> str:
    which = "the window" if windows == 1 else "these windows"
    return (
        f"the period asked for does not cover {which}: {outside.people} more answered outside it, {outside.abandoned} of "
        "them abandoned"
    )


def _unknown(unknown: float, elsewhere: float) -> str:
    text = f"{unknown:g} charged as unknown: nobody saw what became of them, as after a crash"
    if not _tells(elsewhere):
        return text
    return f"{text}; {elsewhere:g} of them are answered by attempts, and not by the ledger"


def _other(answered: float, charged: float) -> str:
    """What no figure tells apart."""
    told = []
    if answered > _NEGLIGIBLE:
        told.append(
            f"{answered:g} counted as answered of whom attempts do not tell it: their attempts ended otherwise after a "
            "restart, or they were counted once more by it"
        )
    elif answered < -_NEGLIGIBLE:
        told.append(
            f"{-answered:g} whom attempts tell as answered are not counted here: they were in another window, or in none"
        )
    if charged > _NEGLIGIBLE:
        told.append(
            f"{charged:g} more charged as abandoned than attempts tell: an agent took them too late, or a restart left "
            "them without one"
        )
    elif charged < -_NEGLIGIBLE:
        told.append(f"{-charged:g} whom attempts tell as abandoned are not charged as such here")
    return "; ".join(told)
