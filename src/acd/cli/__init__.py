"""The command line. ``acd.cli.serve`` is the composition root, the one module that wires everything.

The other commands are clients of the running service or work on files; they decide nothing about calls.
"""

from __future__ import annotations

from acd.cli.main import cli, main

__all__ = ["cli", "main"]
