"""The table of pretraining objectives. A new objective is one file in this folder and one row here."""

from __future__ import annotations

import math
from dataclasses import dataclass

from daguan.core.tables import Row


@dataclass(frozen=True, kw_only=True)
class ObjectiveRow(Row):
    """One objective; `path` names its class.

    Attributes:
        reads: settings of `pretrain`, those of its section `masking` included.
        generator: whether a generator replaces tokens for it. Its sizes are the encoder's, so no checkpoint's.
        passes: over a small text after which it learns the text by heart, as no mask changes what it reads.
    """

    generator: bool = False
    passes: float = math.inf


_REPLACED = ("masking.keep", "masking.random")
_CHOSEN = ("masking.final_rate", "masking.max_ngram", "masking.ngram_lengths")
_MASKED = (*_REPLACED, *_CHOSEN)

OBJECTIVES = {
    "mlm": ObjectiveRow(
        "daguan.training.objectives.masked_lm:MlmObjective",
        (*_MASKED, "masking.static_masks"),
        "a masked language model",
    ),
    "mlm+sop": ObjectiveRow(
        "daguan.training.objectives.sentence_pairs:SentenceOrderObjective",
        _MASKED,
        "with sentence order; Lan et al. 2020, arXiv 1909.11942 §3.1",
    ),
    "mlm+nsp": ObjectiveRow(
        "daguan.training.objectives.sentence_pairs:NextSentenceObjective",
        _MASKED,
        "with next sentences; Devlin et al. 2019, arXiv 1810.04805 §3.1",
    ),
    "rtd": ObjectiveRow(
        "daguan.training.objectives.generated:ReplacedObjective",
        ("generator_layers", "replaced_weight", *_CHOSEN),
        "replaced-token detection; Clark et al. 2020, arXiv 2003.10555 §3.1",
        generator=True,
    ),
    "all_tokens": ObjectiveRow(
        "daguan.training.objectives.generated:AllTokensObjective",
        ("generator_layers", *_CHOSEN),
        "all tokens of a generator's text; Clark et al. 2020, arXiv 2003.10555 §3.4",
        generator=True,
    ),
    "mass": ObjectiveRow(
        "daguan.training.objectives.fragments:FragmentObjective",
        ("fragment", *_REPLACED),
        "a fragment by a decoder; Song et al. 2019, arXiv 1905.02450",
    ),
    "causal": ObjectiveRow(
        "daguan.training.objectives.causal:CausalObjective",
        about="the next token in both directions; Dai et al. 2019, arXiv 1901.02860",
        passes=5.0,
    ),
}
