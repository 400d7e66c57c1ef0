"""A process that writes calls and says which are durable, until it is killed: ``victim.py URL STATE_DIR PREFIX``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from storekit import QUICK
from traffic import START

from acd.domain.records import CallClosed, CallOpened
from acd.domain.states import CallOutcome
from acd.store import Store


async def main(url: str, state: Path, prefix: str) -> None:
    store = Store(url, state, QUICK)
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


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
