"""Profiles: ``ci`` by default, the same cases each time; ``HYPOTHESIS_PROFILE=long`` for a soak, with new ones. A failure
prints the blob that repeats it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "core"))

_common = {
    "deadline": None,
    # Without the explain phase: it traces every line, which takes minutes
    "phases": [Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink],
    "print_blob": True,
    "report_multiple_bugs": False,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
}
settings.register_profile("ci", max_examples=200, stateful_step_count=50, derandomize=True, **_common)
settings.register_profile("long", max_examples=5_000, stateful_step_count=120, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
