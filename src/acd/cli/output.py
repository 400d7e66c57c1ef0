"""Standard output that cannot be written: one line about it and an exit code, whichever command wrote what and how."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from acd.cli.context import EXIT_FAILED, EXIT_USAGE, Failure, options

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Output(io.FileIO):
    """A file descriptor that, once it could not be written, takes everything and keeps nothing: what is still buffered
    fails no second time. A pipe nobody reads any more is a BrokenPipeError as ever, all else is a `Failure`."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            self._forget()
            raise
        except OSError as error:
            self._forget()
            message = f"standard output could not be written: {error.strerror or error}"
            context = click.get_current_context(silent=True)
            as_json = context is not None and options(context).json
            raise Failure(message, EXIT_USAGE, kind="usage", as_json=as_json) from error

    def _forget(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


@contextmanager
def watched_output() -> Iterator[None]:
    """Standard output in the hands of an `_Output`, and everything written at the end. Raises SystemExit."""
    if not isinstance(sys.stdout, io.TextIOWrapper):
        # It was closed before the program began
        yield
        return
    before = sys.stdout
    before.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(before.fileno(), "w", closefd=False)),
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=before.line_buffering,
        write_through=before.write_through,
    )
    try:
        yield
    finally:
        try:
            # What wrote its bytes may have closed it
            if not sys.stdout.closed:
                sys.stdout.flush()
        except BrokenPipeError:
            sys.exit(EXIT_FAILED)
        except Failure as failure:
            failure.show()
            sys.exit(failure.exit_code)
