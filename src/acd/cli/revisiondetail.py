"""A floor's definition as the records keep it, and back: without PINs, known callers by hashed numbers. Pure.

Small ones are plain JSON, which SQL can look into; large ones are compressed, so that one line of the records stays short.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from acd.domain.definition import FloorDefinition
from acd.domain.errors import AcdError
from acd.engine.codec import CodecError, decode, encode

PLAIN_MAX = 64 * 1024
INFLATED_MAX = 256 * 1024 * 1024


def detail_of(definition: FloorDefinition, sealed: Callable[[str], str]) -> dict[str, Any]:
    """``{"definition": {...}}`` or ``{"zlib": base64}``. ``sealed`` hashes a caller's number."""
    callers = {sealed(number): caller for number, caller in definition.callers.items()}
    text = encode(replace(definition, callers=MappingProxyType(callers)))
    if len(text) <= PLAIN_MAX:
        return {"definition": json.loads(text)}
    return {"zlib": base64.b64encode(zlib.compress(text.encode("ascii"), 6)).decode("ascii")}


def plain(detail: Mapping[str, Any]) -> dict[str, Any]:
    """The definition as JSON. Raises AcdError if the detail is none of ours."""
    try:
        if "zlib" in detail:
            inflate = zlib.decompressobj()
            text = inflate.decompress(base64.b64decode(detail["zlib"]), INFLATED_MAX)
            found = json.loads(text)
        else:
            found = detail["definition"]
    except (KeyError, ValueError, TypeError, zlib.error) as error:
        raise AcdError(f"the definition of this revision cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise AcdError("the definition of this revision cannot be read: it is no object")
    return found


def definition_of(detail: Mapping[str, Any]) -> FloorDefinition:
    """The definition, without what is withheld. Raises AcdError, also if another acd wrote it in its own way."""
    try:
        found: FloorDefinition = decode(FloorDefinition, plain(detail))
    except CodecError as error:
        raise AcdError(f"the definition of this revision was written by another acd: {error}") from error
    return found
