"""The spill's files: what is appended is read back, whatever happens to the bytes in between."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acd.domain.errors import StoreError
from acd.store.operations import Batch
from acd.store.spill import Piece, Spill, SpillFullError, frame, payload, unframe

KB = 1024


def line(number: int, size: int = 10) -> bytes:
    return payload(Batch("w", number, {}), {"calls_patch": json.dumps([["c", "q" * size, *[None] * 7]])})


def filled(directory: Path, numbers: range, size: int = 10, **options: int) -> Spill:
    spill = Spill(directory, **options)
    spill.open()
    for number in numbers:
        spill.append([line(number, size)])
    return spill


def drain(spill: Spill, at_most_bytes: int = 4 * KB) -> tuple[list[int], int]:
    """The numbers of all batches, in order, and how many lines were damaged."""
    numbers, damaged = [], 0
    while not spill.drained:
        piece = spill.read(at_most_bytes)
        numbers += [batch.number for batch in piece.batches]
        damaged += len(piece.damaged)
        spill.taken(piece)
    return numbers, damaged


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@given(st.binary().filter(lambda data: b"\n" not in data))
def test_a_frame_holds_its_payload(data: bytes) -> None:
    assert unframe(frame(data)) == data


def test_batches_come_back_in_order_over_many_segments(tmp_path: Path) -> None:
    spill = filled(tmp_path / "s", range(500), 200, limit_bytes=256 * KB)
    assert len(names(tmp_path / "s")) > 5
    assert spill.batches == 500
    assert spill.size_bytes == sum(path.stat().st_size for path in (tmp_path / "s").glob("spill-*"))
    assert drain(spill) == (list(range(500)), 0)
    assert names(tmp_path / "s") == ["lock"]
    assert (spill.batches, spill.size_bytes) == (0, 0)
    spill.append([line(500)])
    assert drain(spill) == ([500], 0)
    spill.close()


def test_what_is_read_and_not_taken_is_read_again(tmp_path: Path) -> None:
    spill = filled(tmp_path, range(3))
    first = spill.read()
    assert spill.read() == first
    spill.append([line(3), line(4)])
    spill.taken(first)
    assert [batch.number for batch in spill.read().batches] == [3, 4]
    spill.close()
    again = Spill(tmp_path)
    again.open()
    # The position lives in the database; the file is read from its beginning and the database passes over the rest.
    assert drain(again) == (list(range(5)), 0)
    again.close()


def test_the_bound_holds_and_taking_makes_room(tmp_path: Path) -> None:
    spill = Spill(tmp_path, limit_bytes=64 * KB)
    spill.open()
    count = 0
    while spill.size_bytes < 62 * KB:
        spill.append([line(count, 1000)])
        count += 1
    with pytest.raises(SpillFullError, match="at its bound of 65536 bytes"):
        spill.append([line(count, 4000)])
    assert spill.size_bytes <= 64 * KB
    piece = spill.read(1)
    while piece.position < 3000:
        spill.taken(piece)
        piece = spill.read(1)
    spill.taken(piece)
    spill.append([line(count, 1000)])
    assert drain(spill)[0][-1] == count
    spill.close()


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("intact")
    filled(directory, range(20)).close()
    (segment,) = directory.glob("spill-*")
    return segment.read_bytes()


def survivors(directory: Path, content: bytes) -> tuple[list[int], int]:
    for old in directory.iterdir():
        old.unlink()
    (directory / "spill-00000001.jsonl").write_bytes(content)
    spill = Spill(directory)
    spill.open()
    found = drain(spill)
    spill.close()
    assert (directory / "spill-00000001.jsonl.damaged").exists() == (found[1] > 0)
    return found


def test_a_line_torn_at_any_byte_costs_that_line_only(intact: bytes, tmp_path: Path) -> None:
    intact = b"".join(intact.splitlines(keepends=True)[:4])
    ends = [at + 1 for at, byte in enumerate(intact) if byte == 10]
    for cut in range(len(intact) + 1):
        whole = sum(end <= cut for end in ends)
        torn = 0 if cut in (0, *ends) else 1
        assert survivors(tmp_path, intact[:cut]) == (list(range(max(whole - 1, 0))), torn), cut


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damaged_bytes_cost_the_lines_they_are_in_only(intact: bytes, tmp_path: Path, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(intact) - 1))
    junk = data.draw(st.binary(min_size=1, max_size=30))
    content = intact[:start] + junk + intact[start + len(junk) :]
    first = intact[:start].count(b"\n")
    last = intact[: start + len(junk)].count(b"\n")
    touched = set(range(first - 1, last))
    numbers, _ = survivors(tmp_path, content)
    assert set(range(20)) - touched <= set(numbers)
    assert numbers == sorted(set(numbers))
    # A line that is not as it was written is never taken for one.
    assert {number for number in numbers if number in touched} <= set(range(20))


def test_columns_are_matched_by_name(tmp_path: Path) -> None:
    head = {"format": 1, "columns": {"agents_patch": ["gone", "pending", "agent"], "unheard_of": ["x"]}}
    body = {"writer": "w", "batch": 1, "rows": {"agents_patch": [[1, "logout", "ann"]], "unheard_of": [[1]]}}
    lines = b"".join(frame(json.dumps(value).encode()) for value in (head, body))
    (tmp_path / "spill-00000004.jsonl").write_bytes(lines)
    spill = Spill(tmp_path)
    spill.open()
    (batch,) = spill.read().batches
    assert batch.rows == {"agents_patch": [["ann", None, "logout"]]}
    spill.append([line(7)])
    assert names(tmp_path) == ["lock", "spill-00000004.jsonl", "spill-00000005.jsonl"]
    spill.close()


def test_files_are_private_and_the_directory_is_ours_alone(tmp_path: Path) -> None:
    spill = filled(tmp_path / "a" / "s", range(2))
    assert (tmp_path / "a" / "s").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a" / "s").iterdir()} == {0o600}
    with pytest.raises(StoreError, match="another acd uses"):
        Spill(tmp_path / "a" / "s").open()
    spill.close()
    again = Spill(tmp_path / "a" / "s")
    again.open()
    again.close()


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file/spill cannot be used"):
        Spill(tmp_path / "file" / "spill").open()


# --- letting go of what the database has ----------------------------------------------------------------------------


def test_what_is_released_is_neither_read_nor_kept(tmp_path: Path) -> None:
    spill = filled(tmp_path, range(3))
    mark = spill.append([line(3), line(4)])
    spill.append([line(5)])
    assert spill.batches == 6
    spill.release(mark)
    assert (spill.batches, spill.drained) == (1, False)
    assert [batch.number for batch in spill.read().batches] == [5]
    last = spill.append([line(6)])
    assert last.total == 7
    spill.release(last)
    assert (spill.batches, spill.drained) == (0, True)
    (segment,) = tmp_path.glob("spill-*")
    assert segment.stat().st_size == spill.size_bytes
    assert segment.read_bytes().count(b"\n") == 1
    spill.append([line(7)])
    assert [batch.number for batch in spill.read().batches] == [7]
    spill.close()
    again = Spill(tmp_path)
    again.open()
    assert drain(again) == ([7], 0)
    again.close()


def test_releasing_goes_forward_only_and_over_segments(tmp_path: Path) -> None:
    spill = Spill(tmp_path, limit_bytes=256 * KB)
    spill.open()
    marks = [spill.append([line(number, 200)]) for number in range(500)]
    assert len(names(tmp_path)) > 5
    spill.release(marks[400])
    size_bytes = spill.size_bytes
    for mark in marks[:400]:
        spill.release(mark)
    assert (spill.size_bytes, spill.batches) == (size_bytes, 99)
    assert spill.size_bytes == sum(path.stat().st_size for path in tmp_path.glob("spill-*"))
    assert min(names(tmp_path)[1:]) == f"spill-{marks[400].segment:08d}.jsonl"
    assert drain(spill) == (list(range(401, 500)), 0)
    assert names(tmp_path) == ["lock"]
    spill.release(marks[-1])
    assert spill.drained
    spill.close()


def test_releasing_makes_room_within_the_bound(tmp_path: Path) -> None:
    spill = Spill(tmp_path, limit_bytes=64 * KB)
    spill.open()
    for number in range(2000):
        mark = spill.append([line(number, 1000)])
        if number % 20 == 19:
            spill.release(mark)
        assert sum(path.stat().st_size for path in tmp_path.glob("spill-*")) <= 64 * KB
    spill.close()
    # What the database has needs no replay.
    assert names(tmp_path) == ["lock"]


def test_a_release_that_cannot_shorten_the_file_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spill = filled(tmp_path, range(2))
    mark = spill.append([line(2)])

    def fails(*_: object) -> None:
        raise OSError("Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", fails)
        spill.release(mark)
    assert "cannot be shortened" in caplog.text
    assert spill.drained
    spill.append([line(3)])
    assert [batch.number for batch in spill.read().batches] == [3]
    spill.close()


def test_after_a_failed_append_a_release_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spill = filled(tmp_path, range(2))
    mark = spill.append([line(2)])

    def fails(_: int) -> None:
        raise OSError("Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fails)
        with pytest.raises(OSError, match="Input"):
            spill.append([line(3)])
    spill.release(mark)
    assert names(tmp_path) == ["lock"]
    assert (spill.size_bytes, spill.drained) == (0, True)
    spill.append([line(4)])
    assert drain(spill) == ([4], 0)
    spill.close()


def test_taking_what_is_gone_is_no_trouble(tmp_path: Path) -> None:
    spill = filled(tmp_path, range(1))
    spill.taken(Piece((), (), 99, 5))
    assert drain(spill) == ([0], 0)
    spill.close()


FULL_DISK = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_spill import Spill, drain, line
spill = Spill(Path({directory!r}))
spill.open()
stored, failed = [], 0
for number in range(60):
    try:
        spill.append([line(number, 300)])
        stored.append(number)
    except OSError:
        failed += 1
        if failed == 2:
            import resource
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spill.close()
again = Spill(Path({directory!r}))
again.open()
assert failed == 2, failed
assert drain(again) == (stored, 0), stored
print(len(stored))
"""


def test_a_write_that_fails_half_way_leaves_no_half_line(tmp_path: Path) -> None:
    """The kernel cuts a write off at the process's file size limit, as it does on a disk that runs full."""
    script = FULL_DISK.format(here=str(Path(__file__).parent), directory=str(tmp_path / "s"))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))

    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "58\n"
