"""Values of a scenario file: rates, distributions, arrivals, choices. Notes what is wrong and where; never raises for it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from acd.config.fields import Section, described, seconds_of
from acd.config.problems import Problems, nearest, show
from acd.config.yaml_lines import Mapping, Node, Scalar, Sequence
from acd.sim.arrivals import Arrivals, Listed, Poisson, Renewal
from acd.sim.chance import (
    Choice,
    Distribution,
    Exponential,
    Fixed,
    Gamma,
    LogNormal,
    Mixture,
    Sample,
    Uniform,
    Weibull,
)

YEAR_S = 366 * 86_400.0
MAX_RATE_PER_S = 10_000.0
MAX_ITEMS = 100_000
MAX_POOL = 1_000_000

_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*/\s*(s|min|h)", re.ASCII)
_PER = {"s": 1.0, "min": 60.0, "h": 3600.0}
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)


class Values:
    """Readers of single values, all noting into one list of problems."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._kinds: dict[str, Callable[[Node, str], Distribution | None]] = {
            "fixed": self._fixed,
            "exponential": lambda node, what: self._mean_only(node, what, Exponential),
            "uniform": self._uniform,
            "lognormal": lambda node, what: self._mean_and(node, what, "cv", LogNormal),
            "gamma": lambda node, what: self._mean_and(node, what, "cv", Gamma),
            "weibull": lambda node, what: self._mean_and(node, what, "shape", Weibull),
            "sample": self._sample,
            "mixture": self._mixture,
        }

    def wrong(self, node: Node, message: str) -> None:
        """Note an error at ``node``."""
        self._problems.error(node.line, node.column, message)

    def section(self, node: Node, label: str, *keys: str) -> Section:
        """A map with these keys."""
        return Section(self._problems, node, label, keys)

    # -- single values -----------------------------------------------------------------------------------------------

    def seconds(self, node: Node, what: str, *, least: float = 0.0, most: float = YEAR_S) -> float | None:
        """A duration."""
        value = seconds_of(node.text) if isinstance(node, Scalar) else None
        if value is None:
            self.wrong(node, f"{what} must be a duration such as 20s, 2m or 1m30s, not {described(node)}")
        elif not least <= value <= most:
            self.wrong(node, f"{what} must be from {least:g} to {most:g} seconds, not {described(node)}")
        else:
            return value
        return None

    def number(self, node: Node, what: str, least: float, most: float) -> float | None:
        """A number, not below ``least``; where that is 0 and ``what`` is no share, above it."""
        if isinstance(node, Scalar) and _NUMBER.fullmatch(node.text) and least <= float(node.text) <= most:
            return float(node.text)
        self.wrong(node, f"{what} must be a number from {least:g} to {most:g}, not {described(node)}")
        return None

    def rate_per_s(self, node: Node, what: str) -> float | None:
        """``48/min``."""
        match = _RATE.fullmatch(node.text) if isinstance(node, Scalar) else None
        if match is None:
            self.wrong(node, f"{what} must be a rate such as 0.5/s, 48/min or 100/h, not {described(node)}")
            return None
        per_s = float(match[1]) / _PER[match[2]]
        if per_s > MAX_RATE_PER_S:
            self.wrong(node, f"{what} must be at most {MAX_RATE_PER_S:g}/s")
            return None
        return per_s

    def choice(self, node: Node, what: str) -> Choice | None:
        """A single text, or ``{text: weight}``."""
        if isinstance(node, Scalar) and not node.is_null:
            return Choice({node.text: 1.0})
        if not isinstance(node, Mapping) or not node.entries:
            self.wrong(node, f"{what} must be a text or a map of texts and their weights, not {described(node)}")
            return None
        weights = {}
        for key, value in node.entries.values():
            weight = self.number(value, f"weight of {show(key.text)} in {what}", 0.0, 1e9)
            if weight is None:
                return None
            weights[key.text] = weight
        if not any(weights.values()):
            self.wrong(node, f"{what} needs a weight above 0")
            return None
        return Choice(weights)

    def numbers(self, node: Node, what: str) -> Choice | None:
        """Callers' numbers: as ``choice``, or ``{pool: 500}``: so many different ones, equally likely."""
        if isinstance(node, Mapping) and set(node.entries) == {"pool"}:
            section = self.section(node, what, "pool")
            count = section.whole("pool", 1, 1, MAX_POOL)
            return Choice({str(7_000_000 + number): 1.0 for number in range(count)})
        return self.choice(node, what)

    # -- distributions -----------------------------------------------------------------------------------------------

    def distribution(self, node: Node, what: str) -> Distribution | None:
        """``20s``, or a map of one kind: ``{exponential: 3m}``."""
        if isinstance(node, Scalar) and not node.is_null:
            return self._fixed(node, what)
        kind = self._only_key(node, what, self._kinds)
        return None if kind is None else self._kinds[kind[0].text](kind[1], f"{kind[0].text} of {what}")

    def _only_key(self, node: Node, what: str, kinds: object) -> tuple[Scalar, Node] | None:
        assert isinstance(kinds, dict)
        entries = list(node.entries.values()) if isinstance(node, Mapping) else []
        if len(entries) != 1:
            known = ", ".join(kinds)
            self.wrong(node, f"{what} must be a duration or a map of one kind ({known}), not {described(node)}")
            return None
        key = entries[0][0]
        if key.text not in kinds:
            self.wrong(key, f"{what}: there is no {show(key.text)}{nearest(key.text, kinds)}")
            return None
        return entries[0]

    def _fixed(self, node: Node, what: str) -> Distribution | None:
        value = self.seconds(node, what)
        return None if value is None else Fixed(value)

    def _mean_only(self, node: Node, what: str, made: Callable[[float], Distribution]) -> Distribution | None:
        value = self.seconds(node, what, least=0.001)
        return None if value is None else made(value)

    def _mean_and(
        self, node: Node, what: str, other: str, made: Callable[[float, float], Distribution]
    ) -> Distribution | None:
        section = self.section(node, what, "mean", other)
        mean, more = section.require("mean", "a duration"), section.require(other, "a number such as 0.8")
        if mean is None or more is None:
            return None
        mean_s = self.seconds(mean, f"mean of {what}", least=0.001)
        value = self.number(more, f"{other} of {what}", 0.01, 100.0)
        return None if mean_s is None or value is None else made(mean_s, value)

    def _uniform(self, node: Node, what: str) -> Distribution | None:
        section = self.section(node, what, "from", "to")
        start, end = section.require("from", "a duration"), section.require("to", "a duration")
        if start is None or end is None:
            return None
        least, most = self.seconds(start, f"from of {what}"), self.seconds(end, f"to of {what}")
        if least is None or most is None:
            return None
        if most < least:
            self.wrong(end, f"{what} ends before it begins")
        return Uniform(least, most)

    def _sample(self, node: Node, what: str) -> Distribution | None:
        values = self.times(node, what)
        return Sample(values) if values else None

    def times(self, node: Node, what: str) -> tuple[float, ...] | None:
        """A list of durations, at least one."""
        if not isinstance(node, Sequence) or not 0 < len(node.items) <= MAX_ITEMS:
            found = described(node) if not isinstance(node, Sequence) else f"one of {len(node.items)}"
            self.wrong(node, f"{what} must be a list of 1 to {MAX_ITEMS} durations, not {found}")
            return None
        values = [self.seconds(item, what) for item in node.items]
        return None if None in values else tuple(value for value in values if value is not None)

    def _mixture(self, node: Node, what: str) -> Distribution | None:
        if not isinstance(node, Sequence) or not 0 < len(node.items) <= 100:
            self.wrong(node, f"{what} must be a list of maps {{weight, of}}, not {described(node)}")
            return None
        parts = []
        for item in node.items:
            section = self.section(item, f"a part of {what}", "weight", "of")
            heavy, inner = section.require("weight", "a number"), section.require("of", "a distribution")
            if heavy is None or inner is None:
                return None
            weight, part = self.number(heavy, f"weight in {what}", 1e-9, 1e9), self.distribution(inner, what)
            if weight is None or part is None:
                return None
            parts.append((weight, part))
        return Mixture(tuple(parts))

    # -- arrivals ----------------------------------------------------------------------------------------------------

    def arrivals(self, node: Node, what: str) -> Arrivals | None:
        """``{poisson: 48/min}``, ``{poisson: [{from, rate}...], every: 24h}``, ``{every: dist}``, ``{at: [...]}``."""
        kinds = ("poisson", "every", "at")
        section = self.section(node, what, *kinds, "repeats")
        found = [kind for kind in kinds if section.get(kind) is not None]
        if len(found) != 1:
            if isinstance(node, Mapping):
                self.wrong(node, f"{what} must have one of {', '.join(kinds)}")
            return None
        given = section.get(found[0])
        assert given is not None
        repeats = section.get("repeats")
        if repeats is not None and found[0] != "poisson":
            self.wrong(repeats, f"repeats of {what} goes with poisson only")
        if found[0] == "poisson":
            return self._poisson(given, repeats, what)
        if found[0] == "every":
            gap = self.distribution(given, f"every of {what}")
            if gap is not None and gap.mean_s < 1 / MAX_RATE_PER_S:
                self.wrong(given, f"every of {what} must be at least {1 / MAX_RATE_PER_S:g} s on average")
                return None
            return None if gap is None else Renewal(gap)
        times = self.times(given, f"at of {what}")
        return None if times is None else Listed(tuple(sorted(times)))

    def _poisson(self, node: Node, repeats: Node | None, what: str) -> Arrivals | None:
        if not isinstance(node, Sequence):
            per_s = self.rate_per_s(node, f"poisson of {what}")
            if repeats is not None:
                self.wrong(repeats, f"repeats of {what} goes with a list of rates")
            return None if per_s is None else Poisson.steady(per_s)
        pieces: list[tuple[float, float]] = []
        for item in node.items:
            section = self.section(item, f"a piece of {what}", "from", "rate")
            start, rate = section.get("from"), section.require("rate", "such as 48/min")
            if rate is None:
                return None
            start_s = 0.0 if start is None else self.seconds(start, f"from of {what}")
            per_s = self.rate_per_s(rate, f"rate of {what}")
            if start_s is None or per_s is None:
                return None
            if (start_s != 0.0) if not pieces else (start_s <= pieces[-1][0]):
                self.wrong(item, f"the pieces of {what} must begin at 0 and go up")
                return None
            pieces.append((start_s, per_s))
        if not pieces:
            self.wrong(node, f"poisson of {what} needs at least one piece")
            return None
        period_s = None if repeats is None else self.seconds(repeats, f"repeats of {what}", least=1.0)
        if period_s is not None and period_s <= pieces[-1][0]:
            self.wrong(node, f"{what} repeats before its last piece begins")
            return None
        return Poisson(tuple(pieces), period_s)

    def share(self, node: Node | None, what: str) -> float:
        """0 to 1; 0 if absent."""
        if node is None:
            return 0.0
        value = self.number(node, what, 0.0, 1.0)
        return 0.0 if value is None or math.isnan(value) else value
