"""The facts of a call: sums over its segments, kept in its own row so that reports need not read the segments.

They are made anew from the database, in the transaction of every batch that touches an ended call or one of its
segments: a function of what is stored, so it does not matter in which order, how often and in which batches that came.
Whole microseconds throughout. A sum is null while one of its segments lasts, and all of them are until the call has
ended.
"""

from __future__ import annotations

from acd.domain.states import OfferOutcome, SegmentKind
from acd.store.operations import BY_NAME, Batch

_WAITING = (SegmentKind.ENTERED, SegmentKind.WAITED, SegmentKind.OFFERED, SegmentKind.RANG)
SUMS: dict[str, tuple[SegmentKind, ...]] = {
    "wait_us": _WAITING,
    "rewait_us": _WAITING,
    "talk_us": (SegmentKind.TALKED,),
    "hold_us": (SegmentKind.HELD, SegmentKind.CONSULTED),
    "after_us": (SegmentKind.AFTER,),
    "wrap_us": (SegmentKind.WRAPPED,),
}
"""Of which segments each sum is. All but WRAPPED lie end to end, so all sums but the last add up to the call's length.
Waiting counts as ``wait_us`` before the first conversation and as ``rewait_us`` after it (a call passed on)."""
_WHEN = {"wait_us": " AND fresh", "rewait_us": " AND NOT fresh"}
_FRESH = "serial < coalesce(min(serial) FILTER (WHERE kind = 'talked') OVER (), 2147483647) AS fresh"

FACTS = (*SUMS, "offers", "ronas", "talks")
"""The columns of ``calls``, in the order of the statements. ``offers``: distinct offers. ``ronas``: those that ended
unanswered, once for each agent the segments name. ``talks``: conversations; a hold does not begin a new one."""

_ENDED_AT = {name: BY_NAME[name].columns.index("ended_at") for name in ("calls", "calls_patch")}


def touched(batch: Batch) -> list[str]:
    """The calls whose facts may be others once the batch is stored. Most have not ended; the statements pass over them."""
    found = {row[0]: None for name in ("segments", "segments_patch") for row in batch.rows.get(name, ())}
    for name, place in _ENDED_AT.items():
        found.update((row[0], None) for row in batch.rows.get(name, ()) if row[place] is not None)
    return list(found)


def _listed(kinds: tuple[SegmentKind, ...]) -> str:
    return ", ".join(f"'{kind}'" for kind in kinds)


def _sums(total: str) -> list[str]:
    """A column each; ``total`` is the sum of lengths with a place for the condition, in whole microseconds."""
    made = []
    for name, kinds in SUMS.items():
        which = f"kind IN ({_listed(kinds)}){_WHEN.get(name, '')}"
        these, still = f"FILTER (WHERE {which})", f"count(*) FILTER (WHERE length IS NULL AND {which})"
        made.append(f"CASE WHEN {still} = 0 THEN coalesce({total.format(these)}, 0) END")
    return made


def _counts(pair: str) -> list[str]:
    """``pair`` tells an offer to an agent from every other."""
    rang = f"outcome = '{OfferOutcome.NO_ANSWER}' AND kind IN ({_listed((SegmentKind.OFFERED, SegmentKind.RANG))})"
    return [
        "count(DISTINCT offer)",
        f"count(DISTINCT {pair}) FILTER (WHERE {rang})",
        f"count(DISTINCT {pair}) FILTER (WHERE kind = '{SegmentKind.TALKED}')",
    ]


def postgres_statement() -> str:
    """$1: an array of calls."""
    columns = [
        *_sums("(extract(epoch FROM sum(length) {}) * 1000000)::bigint"),
        *_counts("(quote_nullable(offer) || quote_nullable(agent))"),
    ]
    facts = ", ".join(f"{column} AS {name}" for name, column in zip(FACTS, columns, strict=True))
    old, new = ", ".join(f"t.{name}" for name in FACTS), ", ".join(f"f.{name}" for name in FACTS)
    return (
        f"UPDATE calls AS t SET {', '.join(f'{name} = f.{name}' for name in FACTS)} "
        # Whether it has ended is asked before its segments are read
        "FROM unnest($1::text[]) AS p (call) JOIN calls AS c ON c.call = p.call AND c.ended_at IS NOT NULL "
        f"CROSS JOIN LATERAL (SELECT {facts} FROM (SELECT kind, agent, offer, outcome, ended_at - started_at AS length, "
        f"{_FRESH} FROM segments WHERE segments.call = c.call) AS s) AS f "
        f"WHERE t.call = c.call AND ({old}) IS DISTINCT FROM ({new})"
    )


def sqlite_statement() -> str:
    """?1: a call. Times are text; seconds and microseconds are whole numbers, apart from each other."""
    second = "strftime('%s', substr({0}, 1, 19)) * 1000000 + substr({0}, 21, 6)"
    length = f"({second.format('ended_at')}) - ({second.format('started_at')})"
    columns = [*_sums("sum(length) {}"), *_counts("quote(offer) || quote(agent)")]
    return (
        f"UPDATE calls SET ({', '.join(FACTS)}) = (SELECT {', '.join(columns)} FROM "
        # The limit keeps SQLite from working out the length anew for every column
        f"(SELECT kind, agent, offer, outcome, {length} AS length, {_FRESH} FROM segments WHERE call = ?1 LIMIT -1)) "
        "WHERE call = ?1 AND ended_at IS NOT NULL"
    )
