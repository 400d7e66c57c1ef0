"""Who sees callers' numbers as they are: ``--mask-numbers``, and the group of operators that [records] may name."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeVar

import click

from acd.cli.context import EXIT_REFUSED, Failure, options
from acd.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from acd.config.settings import RecordsTable

Command = TypeVar("Command", bound=Callable[..., Any])
HELP = "Callers' numbers as +49171•••4567, and no names.  [default: as they are, for operators]"


def mask_parameter() -> click.Option:
    """``--mask-numbers/--no-mask-numbers``, given to a command that reads the database as ``mask_numbers``: None if not
    said."""
    return click.Option(["--mask-numbers/--no-mask-numbers"], default=None, help=HELP)


def is_group(name: str) -> bool:
    """Whether this machine has a group of that name."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def is_member(uid: int, group: str | None, held: Collection[int] = ()) -> bool:
    """Whether a user is in a group of this machine, by its accounts or by ``held``, the ids of the groups that his process
    has; nobody is in one that there is not."""
    if group is None:
        return False
    try:
        wanted = grp.getgrnam(group).gr_gid
        if wanted in held:
            return True
        user = pwd.getpwuid(uid)
        return wanted in os.getgrouplist(user.pw_name, user.pw_gid)
    except KeyError:
        return False


def is_masked(asked: bool | None, table: RecordsTable) -> bool:
    """Whether whoever runs this gets numbers masked: as ``asked``, else unless he may see them. Raises Failure if he asks
    for what he may not see."""
    uid, held = os.getuid(), {os.getegid(), *os.getgroups()}
    may_see = not table.mask or table.operators is None or uid == 0 or is_member(uid, table.operators, held)
    if asked is False and not may_see:
        text = f"only members of group {table.operators} see callers' numbers: [records] operators in acd.toml"
        raise Failure(text, EXIT_REFUSED, kind="refused", as_json=options().json)
    return not may_see if asked is None else asked


def masks(asked: bool | None, *, without: bool) -> bool:
    """As `is_masked`, by acd.toml. ``without``: there may be none (or none that this user may read, if it was not named),
    and then only what is asked for counts. Raises ConfigurationError if there is one that is wrong."""
    from acd.cli.databaseurl import loaded_settings
    from acd.config.load import CONFIG_VARIABLE, find_config

    named = options().config is not None or bool(os.environ.get(CONFIG_VARIABLE))
    if without and not named:
        try:
            readable = os.access(find_config(), os.R_OK)
        except ConfigurationError:
            readable = False
        if not readable:
            return bool(asked)
    return is_masked(asked, loaded_settings(database=not without).settings.records)
