"""Cells of CSV files that people open in spreadsheets: nothing from outside may become a formula there."""

from __future__ import annotations

from typing import Final

FORMULA: Final = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")
"""What makes a spreadsheet take a cell for a formula if it stands first; some take the wide forms of East Asia as well."""


def harmless(text: str) -> str:
    """``text``; with an apostrophe before it if it could be taken for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def as_it_was(cell: str) -> str:
    """What `harmless` has made ``cell`` of."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell
