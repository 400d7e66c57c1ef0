"""What tests with real calls share: rigs (a private Asterisk, phones and the service), each in a folder of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

_HERE = Path(__file__).parent
# What the tests share asserts in words, too, whoever imports it first
pytest.register_assert_rewrite(*sorted({path.stem for path in _HERE.rglob("*.py")} - {"conftest"}))

from acd.lab.rig import Rig, RigPlan  # noqa: E402
from records_checker import check_records  # noqa: E402

FAST_FIRST = (
    *("domain", "core", "dialer", "scenarios", "asterisk_wire", "config", "api", "cli", "engine", "routing"),
    *("properties", "outbound", "lists", "reports", "records", "queuelog", "store", "postgres", "sim", "lab"),
    *("asterisk", "chaos"),
)
"""The folders in the order of their cost: what fails cheaply fails early."""

settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same" if "HYPOTHESIS_PROFILE" not in os.environ else "default")
# What may land is not a matter of luck; new cases are looked for with HYPOTHESIS_PROFILE=long

REAL_CALLS_S = 300
RigFactory = Callable[..., Awaitable[Rig]]
_FAILED = pytest.StashKey[bool]()


def pytest_configure() -> None:
    """A shell starts what it runs in the background deaf to Ctrl-C, and every child would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first; within a folder the order stays. What real calls wait for is bounded by itself, and says what did
    not come: the limit of a test is for a machine several times slower."""

    def cost(item: pytest.Item) -> int:
        folder = item.path.relative_to(_HERE).parts[0]
        return FAST_FIRST.index(folder) if folder in FAST_FIRST else len(FAST_FIRST)

    items.sort(key=cost)
    for item in items:
        if item.path.parent.name in ("asterisk", "chaos") and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(REAL_CALLS_S))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """For ``.ci/again``: how it ended, and what failed."""
    told = session.config.pluginmanager.get_plugin("terminalreporter")
    cache = getattr(session.config, "cache", None)
    if told is not None and cache is not None and not hasattr(session.config, "workerinput"):
        failed = [report.nodeid for kind in ("failed", "error") for report in told.stats.get(kind, ())]
        cache.set("acd/ended", {"code": int(exitstatus), "failed": failed})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture
async def make_rig(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[RigFactory]:
    """``await make_rig(plan, serve=True)``: a started rig. At the end of the test everything is stopped, and its
    records must not contradict themselves."""
    rigs: list[Rig] = []

    async def make(plan: RigPlan, **how: Any) -> Rig:
        rig = Rig(tmp_path / f"rig{len(rigs)}", plan)
        rigs.append(rig)
        return await rig.start(**how)

    yield make
    for rig in rigs:
        await rig.stop()
    # A test that failed has left calls behind; what is wrong with it was said
    if not request.node.stash.get(_FAILED, False):
        for rig in rigs:
            if rig.database.exists():
                check_records(rig.database)
