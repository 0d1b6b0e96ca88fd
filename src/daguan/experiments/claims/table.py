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
    "label-smoothing": Row(
        "daguan.experiments.claims.label_smoothing:CLAIM",
        about="Szegedy et al. 2016, Müller et al. 2019: smoothed labels calibrate, and make tighter clusters",
    ),
    "albert": Row(
        "daguan.experiments.claims.albert:CLAIM",
        about="Lan et al. 2020: layers that share weights need a tenth of the parameters and lose little",
    ),
    "roberta": Row(
        "daguan.experiments.claims.roberta:CLAIM",
        about="Liu et al. 2019: new masks in every epoch and rows of one document's sentences make a better encoder",
    ),
    "pointer": Row(
        "daguan.experiments.claims.pointer:CLAIM",
        about="Vinyals et al. 2015: networks that point at their input solve geometry, also of sizes not seen before",
    ),
    "mass": Row(
        "daguan.experiments.claims.mass:CLAIM",
        about="Song et al. 2019: a decoder that writes half of a row from the rest prepares best for generation",
    ),
    "transformer-xl": Row(
        "daguan.experiments.claims.transformer_xl:CLAIM",
        about="Dai et al. 2019: recurrence and relative positions let a language model use longer contexts",
    ),
    "daguan-rank9": Row(
        "daguan.experiments.claims.rank9:CLAIM",
        about="rank 9 of the DaGuan cup of 2019: the vote of its three models beats each; without its faults, more so",
    ),
}
