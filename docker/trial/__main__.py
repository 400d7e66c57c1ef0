"""``docker/try``: from nothing to an answered call in containers, with SQLite and then with PostgreSQL."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from stack import Stack

from acd.domain.errors import AcdError
from engine import PROJECT, Engine, base_image, drop_wheels, engine, fetch_wheels

IMAGES = ("acd", "acd-asterisk", "acd-postgres")


def main() -> int:
    parser = argparse.ArgumentParser(prog="docker/try", description=__doc__)
    parser.add_argument("--make-bases", action="store_true", help="make the Debian base images, even if a registry has")
    parser.add_argument("--keep", action="store_true", help="keep images (and our engine's folder) for the next time")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/acd-try"), help="of our own engine (%(default)s)")
    parser.add_argument("--sip-port", type=int, default=23060, help="from here on 100 UDP ports (%(default)s)")
    parser.add_argument("--ami-port", type=int, default=23038, help="(%(default)s)")
    parser.add_argument("--agi-port", type=int, default=23573, help="(%(default)s)")
    parser.add_argument("--db-port", type=int, default=23432, help="(%(default)s)")
    parser.add_argument("--rtp-from", type=int, default=24000, help="from here on 400 UDP ports (%(default)s)")
    parser.add_argument("--only", choices=("sqlite", "postgres"), help="one of the two trials")
    given = parser.parse_args()
    settings = {
        "COMPOSE_PROJECT_NAME": "acd-try",
        "TAG": "try",
        "SIP_BIND": "127.0.0.1",
        "SIP_PORT": str(given.sip_port),
        "AMI_PORT": str(given.ami_port),
        "AGI_PORT": str(given.agi_port),
        "DB_PORT": str(given.db_port),
        "RTP_FROM": str(given.rtp_from),
        "RTP_TO": str(given.rtp_from + 399),
        "PIP_NO_INDEX": "1",
        # our own engine has no other
        "BUILD_NETWORK": "host",
    }
    try:
        with engine(given.folder, keep=given.keep) as on:
            seen = trials(on, settings, given)
    except AcdError as error:
        print(f"docker/try: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    out = PROJECT / "build" / "docker" / "trial.json"
    out.write_text(json.dumps(seen, indent=2) + "\n")
    say(f"all as it should be; {out.relative_to(PROJECT)} has the figures")
    return 0


def trials(on: Engine, settings: dict[str, str], given: argparse.Namespace) -> dict[str, Any]:
    """Build, try, clean up."""
    folder = PROJECT / "build" / "docker" / "calls"
    shutil.rmtree(folder, ignore_errors=True)
    seen: dict[str, Any] = {"versions": on.versions()}
    say(seen["versions"])
    try:
        seen["images"] = build(on, settings, pull=not given.make_bases)
        for name in ("sqlite", "postgres"):
            if given.only in (None, name):
                say(f"--- with {name}")
                stack = Stack(on, settings, folder / name, say, postgres=name == "postgres")
                seen[name] = asyncio.run(stack.trial())
    finally:
        drop_wheels()
        if not given.keep:
            on.docker("rmi", "--force", *(f"{image}:{settings['TAG']}" for image in IMAGES), check=False)
    return seen


def build(on: Engine, settings: dict[str, str], *, pull: bool) -> dict[str, Any]:
    """Base images, packages, images; returns sizes in MB and seconds."""
    began = time.monotonic()
    bases = {
        variable: base_image(on, suite, pull=pull)
        for variable, suite in (("BOOKWORM_BASE", "bookworm"), ("SID_BASE", "sid"))
    }
    say(f"base images {', '.join(bases.values())} after {time.monotonic() - began:.0f} s")
    fetch_wheels()
    began = time.monotonic()
    on.compose({**settings, **bases, "COMPOSE_PROFILES": "postgres"}, "build")
    took_s = round(time.monotonic() - began)
    sizes = {
        image: round(int(on.docker("image", "inspect", "--format", "{{.Size}}", image)) / 1e6)
        for image in (*(f"{image}:{settings['TAG']}" for image in IMAGES), *bases.values())
    }
    say(f"built in {took_s} s; sizes in MB: {sizes}")
    return {"build_s": took_s, "sizes_mb": sizes}


def say(text: str) -> None:
    print(text, flush=True)


sys.exit(main())
