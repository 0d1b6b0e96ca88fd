"""The table of families: what can be a member. A new family is one file in this folder and one row here."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from daguan.core.tables import Row

if TYPE_CHECKING:
    from pathlib import Path

    from daguan.families.family import Family

FAMILIES = {
    "tagger": Row("daguan.families.tagger:TaggerFamily"),
    "ngram_crf": Row("daguan.families.ngram_crf:NgramCrfFamily"),
    "soup": Row("daguan.families.soup:SoupFamily"),
}


@cache
def family_of(name: str) -> Family:
    """Returns the family of that name."""
    found: Family = FAMILIES[name].load()()
    return found


def family_in(folder: Path) -> Family | None:
    """Returns the family whose model is in a folder, None where there is no model."""
    return next((family for family in map(family_of, FAMILIES) if family.holds(folder)), None)
