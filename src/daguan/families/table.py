"""The table of families: what can be a member."""

from __future__ import annotations

from daguan.core.tables import Row

FAMILIES = {
    "tagger": Row("daguan.families.jobs:run_tagger"),
    "ngram_crf": Row("daguan.families.jobs:run_ngram_crf"),
    "soup": Row("daguan.families.jobs:run_soup"),
}
