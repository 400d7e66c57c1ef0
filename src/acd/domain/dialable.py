"""What a written telephone number is: where it rings, as E.164, its country, its time zones, its kind; or why it cannot be
dialled. Pure; the numbering plans are those of Google's libphonenumber (``phonenumbers``).

A list is hostile text. Letters are no digits (``0171 XXXXXXX`` is a blank somebody left, and spelled as a vanity number it
would ring at a stranger's), two numbers in one cell are not one with an extension, and what costs the caller or takes an
emergency's place is refused unless it is allowed by name. Words beside a number may say that nobody is to call there (``do
not call``, ``gesperrt``, ``wrong``): only LABELS may stand there.

Digits without ``+`` that begin with their country's own code can be read twice: ``4921123456`` is +49 211 23456 (programs
leave the + out) or +49 4921 123456 (a spreadsheet has taken the 0 off). Both readings are made. One that is no valid number
is out, and so is one of a length that nobody there has while the other's is usual; what can still be both is no number to be
dialled, for one of the two is a stranger's. libphonenumber alone takes the national reading whenever that is valid, and the
plans of countries without fixed lengths call nearly everything valid.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from typing import Final

from phonenumbers import (
    PhoneNumber,
    PhoneNumberType,
    ValidationResult,
    is_emergency_number,
    is_possible_number_with_reason,
    is_valid_short_number_for_region,
    national_significant_number,
    number_type,
    parse,
    region_code_for_number,
)
from phonenumbers.phonenumberutil import SUPPORTED_REGIONS, NumberParseException, is_number_type_geographical
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

from acd.domain.plans import PUNCTUATION, code_of, plain
from acd.domain.values import valueclass

WRITTEN_MAX: Final = 250
"""Characters: longer texts are no number (libphonenumber's own limit)."""
EXTENSION_MAX: Final = 6
_FIGURE: Final = re.compile(r"\d([.,]\d+)?[eE]\+?\d{1,2}", re.ASCII)
_FLOAT: Final = re.compile(r"([1-9]\d*)[.,]00?", re.ASCII)
"""``493012345678.0``: what a program writes that took a column for decimals, and so without + or 0 before it."""
_PLUSES: Final = frozenset("+\uff0b")
_EXACT_MAX: Final = 15
"""Digits that such a decimal keeps."""
_USUAL: Final = {"DE": range(12), "PL": range(9, 10)}
"""Digits of a national number, where libphonenumber knows lengths that people do not have: in Germany area code and number
are given out with 11 together at most (Bundesnetzagentur, length of Ortsnetzrufnummern; libphonenumber: 15), in Poland all
have 9 (libphonenumber: also 7)."""
_BEHIND: Final = " (-/"
"""Between a number and what follows."""
_SHORT_MAX: Final = 6
_ONE_MIN: Final = 5
LABELS: Final = frozenset({
    # Everywhere; addresses (``tel:+49...``); English
    "tel", "telef", "ph", "t", "m", "h", "w", "callto", "phone", "telephone", "mobile", "mob", "cell", "cellphone",
    "cellular", "home", "house", "work", "office", "business", "private", "personal", "landline", "main", "direct",
    "number",
    # German
    "telefon", "fon", "mobil", "mobiltelefon", "handy", "privat", "priv", "buro", "buero", "arbeit", "dienst",
    "dienstlich", "geschaft", "geschaeft", "geschaftlich", "geschaeftlich", "gesch", "firma", "festnetz", "zuhause",
    "zentrale", "nummer", "nr", "rufnummer", "telefonnummer", "handynummer",
    # Italian, French
    "telefono", "cellulare", "casa", "ufficio", "lavoro", "fisso", "privato", "personale", "numero", "portable",
    "fixe", "domicile", "maison", "bureau", "travail", "professionnel", "pro", "prive", "personnel", "perso",
    # Dutch, Polish, Portuguese
    "telefoon", "mobiel", "gsm", "thuis", "werk", "kantoor", "vast", "zakelijk", "telefoonnummer", "mobielnummer",
    "komorka", "komorkowy", "kom", "domowy", "dom", "praca", "sluzbowy", "biuro", "stacjonarny", "prywatny", "numer",
    "telefone", "telemovel", "celular", "cel", "trabalho", "escritorio", "fixo", "particular", "privado", "pessoal",
    "comercial",
})  # fmt: skip
"""Words that may stand beside a number, small and without accents, in the languages of the rules' profiles."""
_FAXES: Final = frozenset({"fax", "telefax", "faks", "telefaks", "telecopie", "telecopieur"})
_EXTENSIONS: Final = frozenset(
    {"x", "xt", "xtn", "ext", "extn", "extension", "extensao", "extensi", "extensio", "anexo", "int", "доб"}
)
_WORD: Final = re.compile(r"[^\W\d_]+")
_SIGNS: Final = frozenset(
    "+-/.,:;='\"\u2018\u2019\u201c\u201d\u2212~\u223c\uff0b\uff0f\uff0e\u260e\u2706\U0001f4de\U0001f4f1\ufe0f"
)
_SIGN_KINDS: Final = frozenset({"Pd", "Ps", "Pe", "Zs", "Cf"})
"""Dashes, brackets, spaces, and what steers the direction of writing."""
NOWHERE: Final = "001"
"""The country of numbers that belong to none, such as +800."""


class Kind(StrEnum):
    """What sort of line a number is, as far as its digits tell."""

    FIXED = "fixed"
    MOBILE = "mobile"
    FIXED_OR_MOBILE = "fixed_or_mobile"
    TOLL_FREE = "toll_free"
    PREMIUM = "premium"
    SHARED_COST = "shared_cost"
    VOIP = "voip"
    PERSONAL = "personal"
    PAGER = "pager"
    COMPANY = "company"
    VOICEMAIL = "voicemail"


class Fault(StrEnum):
    """Why a number cannot be dialled."""

    EMPTY = "empty"
    NO_NUMBER = "no_number"
    LETTERS = "letters"
    WORDS = "words"
    FAX = "fax"
    FIGURE = "figure"
    SEVERAL = "several"
    AMBIGUOUS = "ambiguous"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    UNKNOWN_COUNTRY = "unknown_country"
    NOT_VALID = "not_valid"
    EMERGENCY = "emergency"
    SHORT = "short"
    PREMIUM = "premium"


FAULTS: Final[dict[Fault, str]] = {
    Fault.EMPTY: "there is no number",
    Fault.NO_NUMBER: "this is no telephone number",
    Fault.LETTERS: "it has letters where digits should be",
    Fault.WORDS: "something is written beside the number that is no label of it (private, office, ext. 5...): read it, for "
    "it may say not to call",
    Fault.FAX: "it is the number of a fax",
    Fault.FIGURE: "a spreadsheet has made a figure of it: format the column as text there, and save it again",
    Fault.SEVERAL: "these seem to be several numbers: give each a column of its own",
    Fault.AMBIGUOUS: "it begins with its country's code and is a number with it and without: write + or 00 before the "
    "code, or the national prefix (0)",
    Fault.TOO_SHORT: "it is too short for its country",
    Fault.TOO_LONG: "it is too long for its country",
    Fault.UNKNOWN_COUNTRY: "its country is not known: write +COUNTRY, or give a default country",
    Fault.NOT_VALID: "its country gives out no such numbers",
    Fault.EMERGENCY: "it is an emergency number",
    Fault.SHORT: "it is a short number of its country's networks",
    Fault.PREMIUM: "it is a premium-rate number, which costs who calls it",
}
"""What is said of each."""

_KINDS: Final = {
    PhoneNumberType.FIXED_LINE: Kind.FIXED,
    PhoneNumberType.MOBILE: Kind.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Kind.FIXED_OR_MOBILE,
    PhoneNumberType.TOLL_FREE: Kind.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: Kind.PREMIUM,
    PhoneNumberType.SHARED_COST: Kind.SHARED_COST,
    PhoneNumberType.VOIP: Kind.VOIP,
    PhoneNumberType.PERSONAL_NUMBER: Kind.PERSONAL,
    PhoneNumberType.PAGER: Kind.PAGER,
    PhoneNumberType.UAN: Kind.COMPANY,
    PhoneNumberType.VOICEMAIL: Kind.VOICEMAIL,
}
_LENGTHS: Final = {
    ValidationResult.TOO_SHORT: Fault.TOO_SHORT,
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: Fault.TOO_SHORT,
    ValidationResult.TOO_LONG: Fault.TOO_LONG,
    ValidationResult.INVALID_COUNTRY_CODE: Fault.UNKNOWN_COUNTRY,
}
_UNPARSED: Final = {
    NumberParseException.INVALID_COUNTRY_CODE: Fault.UNKNOWN_COUNTRY,
    NumberParseException.TOO_SHORT_AFTER_IDD: Fault.TOO_SHORT,
    NumberParseException.TOO_SHORT_NSN: Fault.TOO_SHORT,
    NumberParseException.TOO_LONG: Fault.TOO_LONG,
}


@valueclass(frozen=True, slots=True)
class Dialable:
    """A number that can be dialled. ``number``: E.164 with its ``+``. ``country``: ISO 3166, `NOWHERE` for none. ``zones``:
    every time zone it may ring in, mostly one, none if nobody knows. ``extension``: whom to ask for there."""

    number: str
    country: str
    zones: tuple[str, ...]
    kind: Kind
    extension: str = ""

    @property
    def zone(self) -> str | None:
        """Its time zone, if only one is possible."""
        return self.zones[0] if len(self.zones) == 1 else None


@valueclass(frozen=True, slots=True)
class Undialable:
    """Why not. ``either``: of one that is AMBIGUOUS the numbers that it may be, international and national; of one with
    WORDS or of a FAX those that it holds. Do-not-call takes them all."""

    fault: Fault
    either: tuple[Dialable, ...] = ()

    def __str__(self) -> str:
        return FAULTS[self.fault]


def is_country(region: str) -> bool:
    """Whether ``DE`` is a country with telephone numbers (ISO 3166, upper case)."""
    return region in SUPPORTED_REGIONS


def countries() -> tuple[str, ...]:
    """Every country with telephone numbers."""
    return tuple(sorted(SUPPORTED_REGIONS))


def dialable(written: str, region: str | None = None, *, allow: Set[Fault] = frozenset()) -> Dialable | Undialable:
    """What ``written`` is, in a country (``DE``) whose numbers may be written without ``+``. ``allow`` PREMIUM, and such
    numbers are no fault. Never raises, whatever the text."""
    if len(written) > WRITTEN_MAX:
        return Undialable(Fault.TOO_LONG if any(map(str.isdigit, written)) else Fault.NO_NUMBER)
    text = written.strip()
    if not text:
        return Undialable(Fault.EMPTY)
    if text.endswith((".0", ",0", ".00", ",00")) and (decimal := _FLOAT.fullmatch(text)) is not None:
        # Read as a number's own, the 0 would be a digit more
        text = decimal[1]
        if len(text) > _EXACT_MAX:
            return Undialable(Fault.FIGURE)
    if PUNCTUATION.issuperset(text):
        found = plain(text, region)
        if found is not None:
            return _made(found.code, found.national, found.sort, found.region, allow)
        return _judged(text, region, allow)
    if _FIGURE.fullmatch(text):
        return Undialable(Fault.FIGURE)
    if not any(map(str.isdecimal, text)):
        return Undialable(Fault.NO_NUMBER)
    return _spelled(text, region, allow)


def impossible(number: str) -> Fault | None:
    """Why no number has the length of this one (E.164 with its ``+``), if none has. What may be given out one day is
    possible."""
    parsed = _parsed(number, None)
    return parsed if isinstance(parsed, Fault) else _LENGTHS.get(is_possible_number_with_reason(parsed))


def zones(number: str) -> tuple[str, ...]:
    """The time zones in which an E.164 number may ring; none if nobody knows."""
    found = dialable(number, allow=frozenset({Fault.PREMIUM}))
    return found.zones if isinstance(found, Dialable) else ()


def _spelled(text: str, region: str | None, allow: Set[Fault]) -> Dialable | Undialable:
    """A text with more in it than digits and punctuation."""
    found = _without_letters(text, region, allow)
    if isinstance(found, Dialable):
        held: tuple[Dialable, ...] = (found,)
    elif found.fault is Fault.LETTERS:
        held = _within(text, region, allow)
    else:
        held = found.either
    if not held:
        return found
    extended = any(one.extension for one in held)
    words = [_folded(word) for word in _WORD.findall(text)]
    if not _FAXES.isdisjoint(words):
        return Undialable(Fault.FAX, held)
    known = LABELS | _EXTENSIONS if extended else LABELS
    if isinstance(found, Undialable) and found.fault is Fault.LETTERS:
        return Undialable(Fault.WORDS, held)
    return found if known.issuperset(words) and _has_no_signs(text, extended) else Undialable(Fault.WORDS, held)


def _folded(word: str) -> str:
    """Small and without accents."""
    plain_letters = unicodedata.normalize("NFKD", word.casefold().replace("ł", "l"))
    return "".join(char for char in plain_letters if not unicodedata.combining(char))


def _has_no_signs(text: str, extended: bool) -> bool:
    """None but those that numbers are written with. ``0301230024#31#`` is a code of a network's."""
    if "#" in text and (not extended or text.count("#") > 1 or text.endswith("#")):
        return False
    return all(
        char.isalnum()
        or char.isspace()
        or char in _SIGNS
        or char == "#"
        or unicodedata.category(char) in _SIGN_KINDS
        or unicodedata.combining(char)
        for char in text
    )


def _within(text: str, region: str | None, allow: Set[Fault]) -> tuple[Dialable, ...]:
    """Every number that stands between words."""
    found: dict[str, Dialable] = {}
    for part in _WORD.split(text):
        if sum(map(str.isdecimal, part)) < _ONE_MIN:
            continue
        begin = next(place for place, char in enumerate(part) if char.isdecimal())
        one = _judged(part[begin - part[:begin].endswith("+") :].rstrip(_BEHIND), region, allow)
        found |= {each.number: each for each in (one.either if isinstance(one, Undialable) else (one,))}
    return tuple(found.values())


def _without_letters(text: str, region: str | None, allow: Set[Fault]) -> Dialable | Undialable:
    """The number before or behind what is written beside it."""
    found = _judged(text, region, allow)
    begin = next(place for place, char in enumerate(text) if char.isdecimal())
    letter = next((place for place in range(begin, len(text)) if text[place].isalpha()), None)
    if letter is None:
        return found
    written = sum(map(str.isdecimal, text))
    for one in found.either if isinstance(found, Undialable) else (found,):
        # Spelled in letters a number has more digits than were written
        rest = len(one.number) - 1 - _code_length(one.number)
        if one.extension and written >= rest + len(one.extension):
            return found
    if isinstance(found, Undialable) and found.fault is Fault.SEVERAL:
        return found
    if any(map(str.isdecimal, text[letter:])):
        return Undialable(Fault.LETTERS)
    # "0171 1234567 (private)"
    head = _judged(text[begin - text[:begin].endswith("+") : letter].rstrip(_BEHIND), region, allow)
    return head if isinstance(head, Dialable) or head.either else Undialable(Fault.LETTERS)


def _code_length(number: str) -> int:
    parsed = parse(number)
    return len(str(parsed.country_code))


def _either(text: str, region: str | None, allow: Set[Fault]) -> Dialable | Undialable | None:
    """Of digits without + that begin with the region's own code; None if they do not, or are no valid number."""
    code = code_of(region) if region is not None else ""
    begin = next((place for place, char in enumerate(text) if char.isdecimal()), len(text))
    if not code or _digits(text, begin, len(code)) != code or not _PLUSES.isdisjoint(text[:begin]):
        return None
    both = [_read(f"{text[:begin]}+{put}{text[begin:]}") for put in ("", code)]
    valid = {one.number: one for one in both if one is not None}
    if len(valid) > 1 and region in _USUAL:
        usual = {number: one for number, one in valid.items() if len(number) - 1 - len(code) in _USUAL[region]}
        valid = usual or valid
    if not valid:
        return None
    if len(valid) > 1:
        return Undialable(Fault.AMBIGUOUS, tuple(valid.values()))
    (found,) = valid.values()
    if found.kind is Kind.PREMIUM and Fault.PREMIUM not in allow:
        return Undialable(Fault.PREMIUM)
    return found


def _digits(text: str, begin: int, count: int) -> str:
    """The first digits of a text, whatever stands between them."""
    found = (char for char in text[begin:] if char.isdecimal())
    return "".join(str(int(char)) for char in islice(found, count))


def _read(text: str) -> Dialable | None:
    """A text with a + in it."""
    allow = frozenset({Fault.PREMIUM})
    quick = plain(text, None) if PUNCTUATION.issuperset(text) else None
    if quick is not None:
        found = _made(quick.code, quick.national, quick.sort, quick.region, allow)
    else:
        found = _judged(text, None, allow)
    return found if isinstance(found, Dialable) else None


def _judged(text: str, region: str | None, allow: Set[Fault]) -> Dialable | Undialable:
    either = _either(text, region, allow)
    if either is not None:
        return either
    parsed = _parsed(text, region)
    # 00 is understood everywhere, also where people dial 011
    if text.startswith("00") and (isinstance(parsed, Fault) or number_type(parsed) == PhoneNumberType.UNKNOWN):
        parsed = _parsed(f"+{text[2:]}", None)
    if isinstance(parsed, Fault):
        return Undialable(Fault.SEVERAL if _has_several(text) else parsed)
    sort = number_type(parsed)
    where = region_code_for_number(parsed)
    if sort not in _KINDS or where is None:
        return Undialable(Fault.SEVERAL if _has_several(text) else _fault_of(parsed, text, region))
    extension = parsed.extension or ""
    if len(extension) > EXTENSION_MAX and (_KINDS[sort] is not Kind.PREMIUM or Fault.PREMIUM in allow):
        return Undialable(Fault.SEVERAL)
    return _made(str(parsed.country_code), national_significant_number(parsed), sort, where, allow, extension)


def _made(
    code: str, national: str, sort: int, where: str, allow: Set[Fault], extension: str = ""
) -> Dialable | Undialable:
    kind = _KINDS[sort]
    if kind is Kind.PREMIUM and Fault.PREMIUM not in allow:
        return Undialable(Fault.PREMIUM)
    digits = code + national if is_number_type_geographical(sort, int(code)) else code
    return Dialable(f"+{code}{national}", where, _zones(digits[:TIMEZONE_LONGEST_PREFIX]), kind, extension)


def _has_several(text: str) -> bool:
    """For a text that is no number."""
    parts = re.split(r"[,;/|&]", text)
    return sum(sum(map(str.isdecimal, part)) >= _ONE_MIN for part in parts) > 1


def _parsed(text: str, region: str | None) -> PhoneNumber | Fault:
    try:
        return parse(text, region)
    except NumberParseException as error:
        return _UNPARSED.get(error.error_type, Fault.NO_NUMBER)


def _fault_of(parsed: PhoneNumber, text: str, region: str | None) -> Fault:
    national = national_significant_number(parsed)
    if len(national) <= _SHORT_MAX and region is not None and not text.startswith(("+", "00")):
        if is_emergency_number(national, region):
            return Fault.EMERGENCY
        if is_valid_short_number_for_region(parsed, region):
            return Fault.SHORT
    return _LENGTHS.get(is_possible_number_with_reason(parsed), Fault.NOT_VALID)


@lru_cache(maxsize=65_536)
def _zones(prefix: str) -> tuple[str, ...]:
    for length in range(len(prefix), 0, -1):
        found = TIMEZONE_DATA.get(prefix[:length])
        if found is not None:
            return tuple(found)
    return ()
