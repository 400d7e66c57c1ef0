"""What long commands tell of themselves where no terminal is."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from acd.cli.context import common_options
from acd.cli.progress import progress


@click.command()
@common_options
@click.option("--bar-only", is_flag=True)
def work(bar_only: bool) -> None:
    """Seven seconds a step."""
    now = [0.0]
    with progress("bytes read", plain=not bar_only, clock=lambda: now[0]) as tell:
        for done in range(1, 6):
            now[0] += 7.0
            tell(done * 100, 500)


def test_a_plain_line_tells_it_now_and_then() -> None:
    found = CliRunner().invoke(work)
    assert found.stderr == "acd: bytes read: 200 of 500 (40%)\nacd: bytes read: 400 of 500 (80%)\n"
    assert found.stdout == ""


@pytest.mark.parametrize("given", ["--json", "--bar-only"])
def test_nothing_is_told_where_a_program_reads_or_nobody_asked(given: str) -> None:
    assert CliRunner().invoke(work, [given]).output == ""
