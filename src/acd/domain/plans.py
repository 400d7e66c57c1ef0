"""What libphonenumber says of a plainly written number, in a tenth of its time: the same plans, compiled once.

``phonenumbers`` looks every pattern up anew for each number, several times over. Here is only the way that nearly all
numbers of a list take; for what is not plain the answer is None, and `phonenumbers.parse` has to be asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberType
from phonenumbers.phonenumberutil import SUPPORTED_REGIONS

from acd.domain.values import valueclass

PUNCTUATION: Final = frozenset("0123456789+-/() .\u00a0")
_NO_PUNCTUATION: Final = {ord(char): None for char in PUNCTUATION - frozenset("0123456789+")}
_NATIONAL_MAX: Final = 17
_KINDS: Final = (
    ("premium_rate", PhoneNumberType.PREMIUM_RATE),
    ("toll_free", PhoneNumberType.TOLL_FREE),
    ("shared_cost", PhoneNumberType.SHARED_COST),
    ("voip", PhoneNumberType.VOIP),
    ("personal_number", PhoneNumberType.PERSONAL_NUMBER),
    ("pager", PhoneNumberType.PAGER),
    ("uan", PhoneNumberType.UAN),
    ("voicemail", PhoneNumberType.VOICEMAIL),
)
"""In the order in which libphonenumber asks; lines and mobiles come last."""


class Plain(NamedTuple):
    """A valid number. ``sort``: a PhoneNumberType; ``region``: ISO 3166, ``001`` for none."""

    code: str
    national: str
    sort: int
    region: str


def plain(text: str, region: str | None) -> Plain | None:
    """What a number is that is valid as it is written, of nothing but PUNCTUATION; None: libphonenumber has to be asked."""
    digits = text.translate(_NO_PUNCTUATION)
    plan = _plan_of(region) if region is not None else None
    if plan is not None and plan.dials_00 and digits.startswith("00") and digits[2:3] != "0":
        digits = f"+{digits[2:]}"
    if digits.startswith("+"):
        code = next((digits[1:end] for end in (2, 3, 4) if digits[1:end] in _codes()), None)
        if code is None:
            return None
        plan, national = _plan_of_code(code), digits[1 + len(code) :]
    elif plan is None or not plan.is_simple or digits.startswith(plan.code) or plan.abroad.match(digits):
        return None
    else:
        code, national = plan.code, digits
    if plan is None or not national.isdigit() or len(national) > _NATIONAL_MAX:
        return None
    prefix = plan.parsing.match(national) if plan.parsing is not None else None
    if prefix is not None:
        if not plan.is_simple:
            return None
        # It stays where what is left would be no number: then it is not one here either
        national = national[prefix.end() :]
    if not national.strip("0"):
        return None
    for one in _rules_of_code(code):
        sort = one.sort_of(national)
        if sort is not None:
            return Plain(code, national, sort, one.region)
        if one.is_certain(national):
            return None
    return None


def code_of(region: str) -> str:
    """A country's code (``49``); "" for what is no country."""
    plan = _plan_of(region)
    return plan.code if plan is not None else ""


@valueclass(frozen=True, slots=True)
class _Plan:
    """How a country's numbers are written. ``parsing``: what is taken off their front; ``is_simple``: nothing of it is kept;
    ``abroad``: what is dialled for another country, ``dials_00``: 00 and nothing else."""

    code: str
    parsing: re.Pattern[str] | None
    is_simple: bool
    abroad: re.Pattern[str]
    dials_00: bool


@lru_cache(maxsize=1)
def _codes() -> frozenset[str]:
    return frozenset(map(str, COUNTRY_CODE_TO_REGION_CODE))


@lru_cache(maxsize=512)
def _plan_of_code(code: str) -> _Plan | None:
    region = COUNTRY_CODE_TO_REGION_CODE[int(code)][0]
    return _plan_made(PhoneMetadata.metadata_for_region_or_calling_code(int(code), region))


@lru_cache(maxsize=512)
def _plan_of(region: str) -> _Plan | None:
    return _plan_made(PhoneMetadata.metadata_for_region(region, None)) if region in SUPPORTED_REGIONS else None


def _plan_made(metadata: PhoneMetadata | None) -> _Plan | None:
    if metadata is None:
        return None
    parsing = re.compile(metadata.national_prefix_for_parsing) if metadata.national_prefix_for_parsing else None
    is_simple = not metadata.national_prefix_transform_rule and (parsing is None or not parsing.groups)
    abroad = metadata.international_prefix or "00"
    return _Plan(str(metadata.country_code), parsing, is_simple, re.compile(abroad), abroad == "00")


Matches = Callable[[str], Any]
_Kind = tuple[frozenset[int], Matches, int]


class _Rules:
    """The numbers that one region gives out. Of several regions with one code the first that is certain is it."""

    def __init__(self, region: str, metadata: Any, *, alone: bool) -> None:
        self.region, self._alone = region, alone
        self._leading = re.compile(metadata.leading_digits).match if metadata.leading_digits is not None else None
        self._general = _kind(metadata.general_desc, PhoneNumberType.UNKNOWN)
        named = ((getattr(metadata, name), sort) for name, sort in _KINDS)
        self._kinds = tuple(kind for desc, sort in named if (kind := _kind(desc, sort)) is not None)
        self._fixed = _kind(metadata.fixed_line, PhoneNumberType.FIXED_LINE)
        self._same: bool = metadata.same_mobile_and_fixed_line_pattern
        self._mobile = None if self._same else _kind(metadata.mobile, PhoneNumberType.MOBILE)

    def is_certain(self, national: str) -> bool:
        """Whether a number is this region's, though none that it gives out."""
        return self._alone or (self._leading is not None and self._leading(national) is not None)

    def sort_of(self, national: str) -> int | None:
        """The PhoneNumberType, None if it is no valid number of this region."""
        if not self._alone and self._leading is not None and not self._leading(national):
            return None
        length = len(national)
        if not _is(self._general, national, length):
            return None
        for lengths, matches, sort in self._kinds:
            if (not lengths or length in lengths) and matches(national):
                return sort
        fixed = _is(self._fixed, national, length)
        if fixed and (self._same or _is(self._mobile, national, length)):
            return PhoneNumberType.FIXED_LINE_OR_MOBILE
        if fixed:
            return PhoneNumberType.FIXED_LINE
        return PhoneNumberType.MOBILE if _is(self._mobile, national, length) else None


def _is(kind: _Kind | None, national: str, length: int) -> bool:
    return kind is not None and (not kind[0] or length in kind[0]) and kind[1](national) is not None


def _kind(desc: Any, sort: int) -> _Kind | None:
    if desc is None or not desc.national_number_pattern:
        return None
    return frozenset(desc.possible_length or ()), re.compile(desc.national_number_pattern).fullmatch, sort


@lru_cache(maxsize=512)
def _rules_of_code(code: str) -> tuple[_Rules, ...]:
    regions = COUNTRY_CODE_TO_REGION_CODE[int(code)]
    found = ((one, PhoneMetadata.metadata_for_region_or_calling_code(int(code), one)) for one in regions)
    return tuple(_Rules(one, each, alone=len(regions) == 1) for one, each in found if each is not None)
