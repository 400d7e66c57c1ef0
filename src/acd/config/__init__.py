"""What the operator writes: acd.toml (settings) and floor.yaml (the floor). Read, checked once, handed on as values.

Nothing in here runs after the start but reading again; no network, no clock, no knowledge of Asterisk's protocols.
"""

from acd.config.floor import LoadedFloor, load_floor, revision_of
from acd.config.load import LoadedSettings, find_config, load_settings
from acd.config.pins import hash_pin, is_pin, verify_pin
from acd.config.problems import Problem, ProblemsError
from acd.config.samples import WrittenSamples, samples_dir, write_samples
from acd.config.settings import AsteriskNode, Settings

__all__ = (
    "AsteriskNode",
    "LoadedFloor",
    "LoadedSettings",
    "Problem",
    "ProblemsError",
    "Settings",
    "WrittenSamples",
    "find_config",
    "hash_pin",
    "is_pin",
    "load_floor",
    "load_settings",
    "revision_of",
    "samples_dir",
    "verify_pin",
    "write_samples",
)
