"""The table of pretraining objectives. A new objective is one file in this folder and one row here."""

from __future__ import annotations

from dataclasses import dataclass

from daguan.core.tables import Row


@dataclass(frozen=True)
class ObjectiveRow(Row):
    """One objective; `path` names its class.

    Attributes:
        reads: settings of `pretrain`, those of its section `masking` included.
        generator: whether a generator replaces tokens for it. Its sizes are the encoder's, so no checkpoint's.
    """

    generator: bool = False


_REPLACED = ("masking.keep", "masking.random")
_CHOSEN = ("masking.final_rate", "masking.max_ngram", "masking.ngram_lengths")
_MASKED = (*_REPLACED, *_CHOSEN)

OBJECTIVES = {
    "mlm": ObjectiveRow("daguan.training.objectives.masked_lm:MlmObjective", _MASKED),
    "mlm+sop": ObjectiveRow("daguan.training.objectives.sentence_pairs:SentenceOrderObjective", _MASKED),
    "mlm+nsp": ObjectiveRow("daguan.training.objectives.sentence_pairs:NextSentenceObjective", _MASKED),
    "rtd": ObjectiveRow(
        "daguan.training.objectives.generated:ReplacedObjective",
        ("generator_layers", "replaced_weight", *_CHOSEN),
        generator=True,
    ),
    "all_tokens": ObjectiveRow(
        "daguan.training.objectives.generated:AllTokensObjective", ("generator_layers", *_CHOSEN), generator=True
    ),
    "mass": ObjectiveRow("daguan.training.objectives.fragments:FragmentObjective", ("fragment", *_REPLACED)),
    "causal": ObjectiveRow("daguan.training.objectives.causal:CausalObjective"),
}
