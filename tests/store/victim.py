"""A process that writes calls and says which are durable, until it is killed:
``victim.py URL STATE_DIR PREFIX DURABLE_IN DATABASE_PACE_S``.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from storekit import QUICK

from acd.domain.records import CallClosed, CallOpened
from acd.domain.states import CallOutcome
from acd.store import Store, StoreOptions
from acd.store.generated import START


async def main(url: str, state: Path, prefix: str, options: StoreOptions) -> None:
    store = Store(url, state, options)
    waiting: dict[int, str] = {}

    def durable(upto: int) -> None:
        for ticket in [ticket for ticket in waiting if ticket <= upto]:
            print(waiting.pop(ticket), flush=True)

    store.on_durable(durable)
    await store.open()
    for n in range(1_000_000):
        call = f"{prefix}{n:06d}"
        entered = CallOpened(call, "pbx1", "1", "1", "100", "+49", "Ann", "sales", 0, START + n)
        waiting[store.write([entered])] = f"{call} opened"
        if n % 3:
            waiting[store.write([CallClosed(call, START + n + 1, CallOutcome.ANSWERED, "caller", 16)])] = (
                f"{call} closed"
            )
        await asyncio.sleep(0.0005)


if __name__ == "__main__":
    _, url, state, prefix, durable_in, database_pace_s = sys.argv
    assert durable_in in ("log", "database")
    options = replace(
        QUICK,
        durable_in="log" if durable_in == "log" else "database",
        database_pace_s=float(database_pace_s),
    )
    asyncio.run(main(url, Path(state), prefix, options))
