"""Groups of commands, each imported only when it is used, so that ``--help`` is quick."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from acd.cli.context import EXIT_USAGE, Failure, options
from acd.domain.errors import AcdError


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, and which turns AcdError into a `Failure`. ``table`` names
    them: sub-command -> (module, attribute, one line of help)."""

    def __init__(self, *, table: Mapping[str, tuple[str, str, str]], **attributes: Any) -> None:
        super().__init__(**attributes)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return None
        module, attribute, _ = self._table[cmd_name]
        try:
            command = getattr(import_module(module), attribute)
        except ImportError as error:
            message = f"this installation cannot run `acd {cmd_name}` ({error}): install acd again"
            raise Failure(message, as_json=options(ctx).json) from error
        if not isinstance(command, click.Command):
            raise Failure(f"{module}.{attribute} is no command", as_json=options(ctx).json)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self._table and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self._table, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in self._table.items()])

    def invoke(self, ctx: click.Context) -> Any:
        # A line that cannot be read may not have been read as far as to its --json
        left = [*getattr(ctx, "_protected_args", ()), *ctx.args]
        try:
            return super().invoke(ctx)
        except AcdError as error:
            raise Failure.of(error, as_json=options(ctx).json) from error
        except click.UsageError as error:
            if options(ctx).json or "--json" in left:
                raise Failure(error.format_message(), EXIT_USAGE, kind="usage", as_json=True) from error
            raise
