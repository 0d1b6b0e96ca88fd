"""The table of encoders. A new encoder is one file in this folder and one row here (docs/extending.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from daguan.core.tables import Row

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class EncoderRow(Row):
    """One encoder; `path` names its `Architecture`.

    Attributes:
        model_type: the name that Hugging Face's configurations have for it.
        pretrained: whether it learns from text; the others start from token vectors or from random weights.
        objective: the only objective that pretrains it; empty where any objective does that belongs to no encoder.
        from_scratch: whether the settings can describe a new model; otherwise only a checkpoint can.
        depth: the settings whose sum is the number of its layers.
        for_muon: whether its layers have matrices that Muon can move.
    """

    model_type: str
    pretrained: bool = True
    objective: str = ""
    from_scratch: bool = True
    depth: tuple[str, ...] = ("layers",)
    for_muon: bool = True

    def layers(self, settings: Any) -> int:
        """Returns how many layers a new encoder of these EncoderSettings has."""
        return sum(getattr(settings, name) for name in self.depth)


_PUBLIC = ("checkpoint", "counts")
_SHALLOW = ("embedding_size", "ngram_buckets", "ngram_size", "ngram_dropout")

ENCODERS = {
    "bert": EncoderRow(
        "daguan.models.encoders.bert:BERT",
        ("initialisation", *_PUBLIC),
        about="Devlin et al. 2019, arXiv 1810.04805",
        model_type="bert",
    ),
    "roberta": EncoderRow(
        "daguan.models.encoders.roberta:ROBERTA",
        ("initialisation", *_PUBLIC),
        about="Liu et al. 2019, arXiv 1907.11692",
        model_type="roberta",
    ),
    "albert": EncoderRow(
        "daguan.models.encoders.albert:ALBERT",
        ("embedding_size", "groups", *_PUBLIC),
        about="Lan et al. 2020, arXiv 1909.11942",
        model_type="albert",
        depth=("groups",),
    ),
    "electra": EncoderRow(
        "daguan.models.encoders.electra:ELECTRA",
        ("embedding_size", *_PUBLIC),
        about="Clark et al. 2020, arXiv 2003.10555",
        model_type="electra",
    ),
    "modern": EncoderRow(
        "daguan.models.encoders.modern:MODERN",
        _PUBLIC,
        about="pre-norm, rotary and gated, for little compute",
        model_type="daguan-modern",
    ),
    "mass": EncoderRow(
        "daguan.models.encoders.mass:MASS",
        ("decoder_layers", *_PUBLIC),
        about="modern, with a decoder in pretraining; Song et al. 2019, arXiv 1905.02450",
        model_type="daguan-mass",
        objective="mass",
    ),
    "transformer_xl": EncoderRow(
        "daguan.models.encoders.transformer_xl:TRANSFORMER_XL",
        ("memory", "same_length", "clamp", *_PUBLIC),
        about="in both directions; Dai et al. 2019, arXiv 1901.02860",
        model_type="daguan-transformer-xl",
        objective="causal",
    ),
    AUTO: EncoderRow(
        "daguan.models.encoders.auto:AUTO",
        _PUBLIC,
        about="any other checkpoint with a masked-LM head that transformers loads",
        model_type="auto",
        from_scratch=False,
    ),
    "lstm": EncoderRow(
        "daguan.models.encoders.lstm:LSTM",
        _SHALLOW,
        about="BiLSTMs; Huang et al. 2015, arXiv 1508.01991",
        model_type="daguan-lstm",
        pretrained=False,
        for_muon=False,
    ),
    "cnn": EncoderRow(
        "daguan.models.encoders.cnn:CNN",
        (*_SHALLOW, "kernel", "lstm_layers"),
        about="gated convolutions; Dauphin et al. 2017, arXiv 1612.08083",
        model_type="daguan-cnn",
        pretrained=False,
        depth=("layers", "lstm_layers"),
    ),
}
FROM_SCRATCH = tuple(name for name, row in ENCODERS.items() if row.from_scratch)
PRETRAINED = tuple(name for name in FROM_SCRATCH if ENCODERS[name].pretrained)


def objective_of(encoder: str, asked: str) -> str:
    """Returns the objective that pretrains the encoder: the one asked for, or else its own, or else `mlm`."""
    return asked or ENCODERS[encoder].objective or "mlm"


def learns(encoder: str, objective: str) -> bool:
    """Returns whether that objective can pretrain the encoder."""
    own = ENCODERS[encoder].objective
    return objective == own if own else all(objective != row.objective for row in ENCODERS.values())
