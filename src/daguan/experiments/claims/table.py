"""The table of claims. A new claim is one file in this folder and one row here."""

from __future__ import annotations

from daguan.core.tables import Row

CLAIMS = {
    "multi-sample-dropout": Row(
        "daguan.experiments.claims.multi_sample_dropout:CLAIM",
        about="Inoue 2019: the mean loss of several dropout masks needs fewer updates, and errs less",
    ),
    "lookahead": Row(
        "daguan.experiments.claims.lookahead:CLAIM",
        about="Zhang et al. 2019: slow weights that follow the fast ones learn faster, vary less and need less tuning",
    ),
}
