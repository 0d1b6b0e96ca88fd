"""The table of claims. A new claim is one file in this folder and one row here."""

from __future__ import annotations

from dataclasses import dataclass

from daguan.core.tables import Row


@dataclass(frozen=True, kw_only=True)
class ClaimRow(Row):
    """One claim; `path` names its `Claim`, `about` says what the paper says.

    Attributes:
        trains: what is trained for it.
        minutes: the time of the default grid on two quiet cores, estimated from short runs.
    """

    trains: str = ""
    minutes: int = 0


CLAIMS = {
    "multi-sample-dropout": ClaimRow(
        "daguan.experiments.claims.multi_sample_dropout:CLAIM",
        about="Inoue 2019: the mean loss of several dropout masks needs fewer updates, and errs less",
        trains="small residual networks on images; taggers in the full grid",
        minutes=22,
    ),
    "lookahead": ClaimRow(
        "daguan.experiments.claims.lookahead:CLAIM",
        about="Zhang et al. 2019: slow weights that follow the fast ones learn faster, vary less and need less tuning",
        trains="small residual networks on images; an encoder in the full grid",
        minutes=25,
    ),
    "label-smoothing": ClaimRow(
        "daguan.experiments.claims.label_smoothing:CLAIM",
        about="Szegedy et al. 2016, Müller et al. 2019: smoothed labels calibrate, and make tighter clusters",
        trains="small residual networks on images, and taggers",
        minutes=22,
    ),
    "albert": ClaimRow(
        "daguan.experiments.claims.albert:CLAIM",
        about="Lan et al. 2020: layers that share weights need a tenth of the parameters and lose little",
        trains="encoders of 4 layers with shared weights, then taggers",
        minutes=27,
    ),
    "roberta": ClaimRow(
        "daguan.experiments.claims.roberta:CLAIM",
        about="Liu et al. 2019: new masks in every epoch and rows of one document's sentences make a better encoder",
        trains="encoders of 2 layers on the articles of people_daily, then taggers",
        minutes=28,
    ),
    "pointer": ClaimRow(
        "daguan.experiments.claims.pointer:CLAIM",
        about="Vinyals et al. 2015: networks that point at their input solve geometry, also of sizes not seen before",
        trains="pointer networks and LSTMs on hulls, triangulations and tours",
        minutes=21,
    ),
    "mass": ClaimRow(
        "daguan.experiments.claims.mass:CLAIM",
        about="Song et al. 2019: a decoder that writes half of a row from the rest prepares best for generation",
        trains="encoders with a decoder, then news lines' beginnings and taggers",
        minutes=18,
    ),
    "transformer-xl": ClaimRow(
        "daguan.experiments.claims.transformer_xl:CLAIM",
        about="Dai et al. 2019: recurrence and relative positions let a language model use longer contexts",
        trains="language models of 2 layers, and an LSTM",
        minutes=21,
    ),
    "daguan-rank9": ClaimRow(
        "daguan.experiments.claims.rank9:CLAIM",
        about="rank 9 of the DaGuan cup: a vote beats its best model there, BERT+LSTM+CRF; more so without its faults",
        trains="rank 9's three models on 2 folds, with and without its faults",
        minutes=27,
    ),
}
