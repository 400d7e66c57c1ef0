"""The world of the property tests lends its lives to the tests of journal and replay."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in ("core", "properties"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))
