"""Pages looked at by a real browser (Chromium's headless shell, a part of the lab): pictures, paper, and what a page comes
to when it is laid out. Runs as any user, without a network of its own to reach."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from acd.domain.errors import LabError
from acd.lab.parts import Unpacked

_LIMIT_S = 60.0
_SHELL = "usr/lib/chromium/chromium-headless-shell"


class Browser:
    """``part``: the lab's CHROMIUM, unpacked."""

    def __init__(self, part: Unpacked) -> None:
        self._part = part

    def picture(self, page: Path, file: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Write a PNG of the page's top."""
        more = ["--blink-settings=preferredColorScheme=0"] if dark else []
        self._run(page, f"--screenshot={file}", f"--window-size={width},{height}", "--hide-scrollbars", *more)
        if not file.is_file():
            raise LabError(f"the browser made no picture of {page}")

    def paper(self, page: Path, file: Path) -> None:
        """Write a PDF, as the page's style sheet wants it printed."""
        self._run(page, f"--print-to-pdf={file}", "--no-pdf-header-footer")
        if not file.is_file():
            raise LabError(f"the browser did not print {page}")

    def laid_out(self, page: Path, *, width: int = 1280) -> str:
        """The document after its scripts have run."""
        return self._run(page, "--dump-dom", f"--window-size={width},900")

    def _run(self, page: Path, *arguments: str) -> str:
        shell = self._part.path(_SHELL)
        with tempfile.TemporaryDirectory(prefix="acd-browser-") as profile:
            # Its own sandbox wants a helper that is set up by root; the pages are ours
            command: Sequence[str] = [
                *(str(shell), "--no-sandbox", "--no-zygote", "--disable-gpu", f"--user-data-dir={profile}"),
                *(f"--browser-subprocess-path={shell}", *arguments, page.resolve().as_uri()),
            ]
            env = self._part.env({"FONTCONFIG_FILE": f"{self._part.root}/etc/fonts/fonts.conf",
                                  "FONTCONFIG_SYSROOT": str(self._part.root)})  # fmt: skip
            try:
                done = subprocess.run(command, env=env, capture_output=True, timeout=_LIMIT_S, check=False)
            except subprocess.TimeoutExpired as error:
                raise LabError(f"the browser did not come to an end with {page} within {_LIMIT_S:g} s") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise LabError(f"the browser failed with {page}: {said[-1] if said else done.returncode}")
        return done.stdout.decode(errors="replace")
