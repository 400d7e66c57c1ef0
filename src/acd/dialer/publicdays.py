"""Public holidays by country and region, from the ``holidays`` package: computed, no IO, no clock.

Where only the country is known, a holiday of any of its regions counts: nobody is called on a day that may be one
there. Italy's hundred towns with a patron saint each are left out of that: only a region that is named has its own. A
country that the package does not know has none, which `known` tells beforehand.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from acd.dialer.windows import Holidays

_OF_TOWNS = frozenset({"IT"})
"""Where what the package calls regions are towns."""


def known(country: str) -> bool:
    """Whether holidays of ``country`` (ISO 3166, two letters) can be told."""
    return country in _regions_by_country()


def public_holidays(country: str | None, region: str | None) -> Holidays:
    """Whether a date is a public holiday in ``region`` of ``country`` (``DE``, ``BY``; unknown regions: anywhere
    there). Remembered a year and a place; raises nothing."""
    code = (country or "").upper()
    part = (region or "").upper()
    regions = _regions_by_country().get(code)
    if regions is None:
        return _none
    asked: tuple[str | None, ...] = (part,) if part in regions else (None,) if code in _OF_TOWNS else (None, *regions)

    def is_holiday(day: date) -> bool:
        return any((day.month, day.day) in _days(code, one, day.year) for one in asked)

    return is_holiday


def prepare(country: str | None, region: str | None, year: int) -> None:
    """Work out a place's holidays of ``year`` and the next beforehand: the first time takes up to a second, which an event
    loop should not wait for. May be called from a thread."""
    holidays = public_holidays(country, region)
    for wanted in (year, year + 1):
        holidays(date(wanted, 1, 2))


def _none(day: date) -> bool:
    return False


@lru_cache(maxsize=1)
def _regions_by_country() -> dict[str, tuple[str, ...]]:
    import holidays  # half a second of modules, needed by those who dial only

    return {country: tuple(regions) for country, regions in holidays.list_supported_countries().items()}


@lru_cache(maxsize=4_096)
def _days(country: str, region: str | None, year: int) -> frozenset[tuple[int, int]]:
    import holidays

    # Catholic: a public holiday in towns where most people are, as Assumption in Bavaria
    offered = getattr(holidays, country).supported_categories
    wanted = {holidays.PUBLIC, holidays.CATHOLIC}.intersection(offered)
    found = holidays.country_holidays(country, subdiv=region, years=year, categories=wanted)
    return frozenset((day.month, day.day) for day in found)
