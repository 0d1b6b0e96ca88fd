"""The table of families: what can be a member. A new family is one file in this folder and one row here."""

from __future__ import annotations

from daguan.core.tables import Row

FAMILIES = {
    "tagger": Row("daguan.families.tagger:TaggerFamily"),
    "ngram_crf": Row("daguan.families.ngram_crf:NgramCrfFamily"),
    "soup": Row("daguan.families.soup:SoupFamily"),
}
