"""Parquet, by arro3 (Apache Arrow's Rust implementation, 34 MB installed where pyarrow takes 170). An optional part of the
installation; moments are UTC timestamps with microseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import IO, Any, BinaryIO, cast

from acd.domain.errors import ReportError
from acd.reports.formats.json import about
from acd.reports.model import Kind, Report

BATCH = 20_000
"""Rows in memory at a time; several make a row group."""

ROW_GROUP = 100_000


class _Sink:
    """A file for the library, which panics over what a file raises: from the first failure on, kept as ``failed``, it takes
    everything and writes nothing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.failed: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.failed is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.failed = error
        return len(data)

    def flush(self) -> None:
        if self.failed is None:
            try:
                self._file.flush()
            except OSError as error:
                self.failed = error

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence) if self.failed is None else 0


def write_parquet(report: Report, file: BinaryIO, tick: Callable[[int], None]) -> None:
    """Rows in batches. What was asked stands in the file's metadata as acd.report (JSON). Raises ReportError where the
    library is not installed, OSError where the file cannot be written."""
    try:
        from arro3 import core, io
    except ImportError as error:
        raise ReportError(
            "Parquet needs a library that is not installed: `pip install 'acd[parquet]'`, or take --format csv"
        ) from error
    import json

    types = {
        Kind.TEXT: core.DataType.utf8(),
        Kind.INTERVAL: core.DataType.utf8(),
        Kind.COUNT: core.DataType.int64(),
        Kind.SHARE: core.DataType.float64(),
        Kind.SECONDS: core.DataType.float64(),
        Kind.MOMENT: core.DataType.timestamp("us", tz="UTC"),
        Kind.FLAG: core.DataType.bool(),
    }
    fields = [core.Field(column.name, types[column.kind], nullable=True) for column in report.columns]
    schema = core.Schema(fields)

    def array(values: tuple[Any, ...], place: int) -> Any:
        kind = report.columns[place].kind
        if kind is Kind.MOMENT:
            whole = [None if value is None else round(value * 1_000_000) for value in values]
            return core.Array(whole, core.DataType.int64()).cast(types[kind])
        return core.Array(list(values), types[kind])

    def batches() -> Iterator[Any]:
        rows, done = iter(report), 0
        while sink.failed is None and (some := list(islice(rows, BATCH))):
            arrays = [array(values, place) for place, values in enumerate(zip(*some, strict=True))]
            yield core.RecordBatch.from_arrays(arrays, schema=schema)
            done += len(some)
            tick(done)

    sink = _Sink(file)
    reader = core.RecordBatchReader.from_batches(schema, batches())
    metadata = {"acd.report": json.dumps(about(report))}
    io.write_parquet(
        reader,
        cast("IO[bytes]", sink),
        compression="zstd(3)",
        max_row_group_size=ROW_GROUP,
        key_value_metadata=metadata,
    )
    if sink.failed is not None:
        raise sink.failed
