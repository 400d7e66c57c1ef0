"""``acd init``: annotated sample files to begin with, with secrets of their own, and the dialplan that goes with them."""

from __future__ import annotations

from pathlib import Path

import click

from acd.cli import text as say
from acd.cli.context import common_options, options, print_json
from acd.domain.errors import ConfigurationError

DIALPLAN = "extensions_acd.conf"


@click.command()
@common_options
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def init(directory: Path) -> None:
    """Write annotated sample files into DIRECTORY.

    acd.toml, floor.yaml and what Asterisk needs (manager, PJSIP, dialplan), with generated secrets and PINs. Nothing
    is ever overwritten.
    """
    from acd.config import samples_dir, write_samples

    # samples and dialplan lie side by side, in the package and in the source tree
    dialplan = samples_dir().parent / "dialplan" / DIALPLAN
    target = directory / DIALPLAN
    if target.exists() or target.is_symlink():
        raise ConfigurationError(
            f"{target} exists already and is not overwritten; move it away or choose another folder"
        )
    try:
        text = dialplan.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the dialplan is missing at {dialplan}; install acd again") from error
    written = write_samples(directory)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigurationError(f"cannot write {target}: {error.strerror}") from error
    files = [*written.files, target]
    if options().json:
        print_json({"files": [str(path) for path in files]})
        return
    for path in files:
        click.echo(say.clean(path))
    config = directory / "acd.toml"
    click.echo(
        f"\nRead them, then: acd check --config {say.clean(config)}; acd db upgrade --config {say.clean(config)}; "
        f"acd serve --config {say.clean(config)}\n"
        "Asterisk must be able to read what it includes: install -o asterisk -g asterisk -m 640 "
        f"{say.clean(directory)}/{{manager,extensions}}_acd.conf /etc/asterisk/\n"
        f"The agents' PINs are in {say.clean(directory / 'secrets' / 'agent-pins')}: hand them out, then delete it."
    )
