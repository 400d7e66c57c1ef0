"""What the columns of a list are: guessed from their names in several languages, or said (``number=Phone,name=Name``).

What is nothing that a dialler knows stays with the contact as a field of its own, under its column's name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from acd.domain.dialable import Dialable, dialable
from acd.domain.errors import ConfigurationError
from acd.domain.values import valueclass

PLACES = (
    "number", "key", "name", "first_name", "last_name", "zone", "country", "region", "language", "consent_at",
    "consent_until", "customer_until", "best", "rank",
)  # fmt: skip
OURS = ("acd_line", "acd_reason", "acd_detail")
"""Columns that `acd list rejects` writes behind the list's own, and that an import passes over."""
PASSED_OVER = "passed over"
COLUMNS_MAX = 500
NAME_MAX = 100
_WORDS: Mapping[str, str] = {
    "number": "number phone phonenumber telephone telephonenumber tel telefon telefonnummer rufnummer nummer "
    "fon numero telefono numerotelefono telefone teléfono téléphone numérodetéléphone numertelefonu "
    "telefoon telefoonnummer telefonnr telnr phoneno msisdn e164 contactnumber dialnumber telno "
    "телефон номер phone1 number1 telefon1 tel1 ani callednumber",
    "mobile": "mobile mobilenumber mobilephone cell cellphone cellnumber handy handynummer mobil mobilnummer "
    "mobiltelefon celular portable cellulare móvil movil komórka gsm mobiel telemóvel мобильный "
    "phonemobile",
    "work": "work workphone business businessphone office officephone geschäftlich dienstlich büro "
    "telefongeschäftlich bureau ufficio oficina praca firma companyphone",
    "landline": "home homephone landline festnetz privat telefonprivat fixe fixo casa fisso domicile thuis vast дом",
    "other": "phone2 phone3 number2 number3 telefon2 telefon3 tel2 tel3 altphone alternatephone otherphone "
    "secondphone numéro2 telefono2 alternative",
    "key": "key id contactid customerid customerno customernumber kundennummer kundennr kdnr externalid "
    "extid reference ref leadid vendorleadcode recordid idcliente numérodeclient",
    "name": "name fullname contact contactname customer customername kunde kundenname ansprechpartner nom "
    "nome nombre nombrecompleto имя фио naam imięinazwisko",
    "first_name": "firstname vorname prénom prenom givenname forename voornaam imię imie nombredepila",
    "last_name": "lastname surname familyname nachname familienname apellido apellidos cognome sobrenome "
    "achternaam nazwisko nomdefamille фамилия",
    "zone": "timezone zone tz zeitzone",
    "country": "country countrycode land pays país pais paese kraj страна",
    "region": "region state province bundesland kanton provincia región",
    "language": "language lang sprache langue idioma lingua język",
    "consent_at": "consentat consent consentdate optin optindate einwilligung einwilligungam",
    "consent_until": "consentuntil consentexpires einwilligungbis",
    "customer_until": "customeruntil kundebis",
    "best": "best besttime besttimetocall callbetween erreichbar",
    "rank": "rank order rang reihenfolge",
}
_KINDS = ("mobile", "work", "landline", "other")
_KNOWN = {word: place for place, words in _WORDS.items() for word in words.split()}


@valueclass(frozen=True, slots=True)
class Column:
    """``place``: one of PLACES, PASSED_OVER, or "" for a field of its own; ``kind``: of a number, if its name says it."""

    name: str
    place: str = ""
    kind: str = ""


@valueclass(frozen=True, slots=True)
class Columns:
    """``numbers``: places in a row, in the order in which the numbers are tried."""

    columns: tuple[Column, ...]
    numbers: tuple[int, ...]

    @property
    def of_rejects(self) -> bool:
        """Whether these are rows that were turned away before: apostrophes keep their cells from being formulas."""
        return any(column.place == PASSED_OVER for column in self.columns)

    def as_json(self) -> list[list[str]]:
        """For the record of an import."""
        return [[column.name, column.place, column.kind] for column in self.columns]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", name).casefold())


def said_of(texts: Sequence[str]) -> list[tuple[str, str]]:
    """``number=Phone,name=Name`` (several times) as pairs. Raises ConfigurationError."""
    pairs = []
    for text in texts:
        for part in text.split(","):
            place, equals, column = part.partition("=")
            place, column = place.strip(), column.strip()
            if not equals or not column:
                raise ConfigurationError(f"{part.strip()!r} is no part of a map: write number=Phone,name=Full name")
            pairs.append((_place(place), column))
    return pairs


def _place(place: str) -> str:
    base = re.sub(r"\d+$", "", place)
    if base in (*PLACES, *_KINDS):
        return base
    near = get_close_matches(place, (*PLACES, *_KINDS), 1)
    hint = f" (nearest: {near[0]})" if near else ""
    raise ConfigurationError(
        f"nothing of a contact is called {place!r}{hint}: there are {', '.join((*PLACES, *_KINDS))}"
    )


def columns_of(
    head: Sequence[str], said: Sequence[tuple[str, str]], *, named: bool, region: str | None = None
) -> Columns:
    """What the columns of a file are. ``head``: its first row; not ``named``: that is a row like the others, and columns are
    known by their places from 1. Raises ConfigurationError naming what is wrong."""
    if len(head) > COLUMNS_MAX:
        raise ConfigurationError(f"the list has {len(head)} columns, more than {COLUMNS_MAX}: is the delimiter right?")
    if not named:
        names = [str(place) for place in range(1, len(head) + 1)]
    else:
        if any(_is_number(cell, region) for cell in head):
            raise ConfigurationError(
                "the first row holds a telephone number, not names of columns: if the list has no such row, write "
                "--no-header --map number=1"
            )
        names = [" ".join(cell.replace("\ufeff", "").split())[:NAME_MAX] for cell in head]
        _refuse_doubles(names)
        names = [name or f"column {place}" for place, name in enumerate(names, 1)]
    places = _said(names, said)
    guesses = [_KNOWN.get(_plain(name), "") for name in names] if named else [""] * len(names)
    if named:
        guesses = [PASSED_OVER if name in OURS else guess for name, guess in zip(names, guesses, strict=True)]
    taken = {place for place, _ in said} - {"number", *_KINDS}
    any_number = any(place in ("number", *_KINDS) for place, _ in said)
    for index, guess in enumerate(guesses):
        if index in places or not guess or guess in taken:
            continue
        if guess == PASSED_OVER:
            places[index] = guess
        elif guess in ("number", *_KINDS):
            if not any_number:
                places[index] = guess
        else:
            places[index] = guess
            taken.add(guess)
    columns = tuple(_column(name, places.get(index, "")) for index, name in enumerate(names))
    order = {index: serial for serial, index in enumerate(places)} if any_number else {}
    numbers = [index for index, column in enumerate(columns) if column.place == "number"]
    if not numbers:
        refuse_no_names(names)
        raise ConfigurationError(
            f"no column is a telephone number by its name ({', '.join(names[:10])}): write --map number=NAME; if the "
            "first row is a contact already, --no-header --map number=2"
        )
    return Columns(columns, tuple(sorted(numbers, key=lambda index: order.get(index, index))))


def refuse_no_names(names: Sequence[str]) -> None:
    """Of a first row in which no column was found. Raises ConfigurationError for what nobody calls a column."""
    if any(len(name) >= NAME_MAX and " " not in name for name in names):
        raise ConfigurationError(
            "the first row has no names of columns, nor is it text that could be read: is it a CSV?"
        )


def _is_number(cell: str, region: str | None) -> bool:
    found = dialable(cell, region)
    return isinstance(found, Dialable) or bool(found.either)


def _column(name: str, place: str) -> Column:
    return Column(name, "number", place) if place in _KINDS else Column(name, place)


def _refuse_doubles(names: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    doubles = []
    for place, name in enumerate(names, 1):
        key = name.casefold()
        if key and key in seen:
            doubles.append(f"{name!r} (columns {seen[key]} and {place})")
        seen.setdefault(key, place)
    if doubles:
        raise ConfigurationError(f"columns have the same name: {', '.join(doubles[:5])}; name each once")


def _said(names: Sequence[str], said: Sequence[tuple[str, str]]) -> dict[int, str]:
    by_name = {name.casefold(): index for index, name in enumerate(names)}
    places: dict[int, str] = {}
    for place, column in said:
        index = by_name.get(" ".join(column.split()).casefold())
        if index is None:
            near = get_close_matches(column, names, 1)
            hint = f" (nearest: {near[0]})" if near else ""
            raise ConfigurationError(f"the list has no column {column!r}{hint}: it has {', '.join(names[:20])}")
        if index in places:
            raise ConfigurationError(f"column {column!r} cannot be both {places[index]} and {place}")
        if place not in ("number", *_KINDS) and place in places.values():
            raise ConfigurationError(f"two columns cannot both be {place}")
        places[index] = place
    return places
