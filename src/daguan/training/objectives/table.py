"""The pretraining objectives by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from daguan.training.objectives.causal import CausalObjective
from daguan.training.objectives.fragments import FragmentObjective
from daguan.training.objectives.generated import AllTokensObjective, ReplacedObjective
from daguan.training.objectives.masked_lm import MlmObjective, Objective, Plan
from daguan.training.objectives.sentence_pairs import PairObjective

OBJECTIVES: dict[str, Callable[[Plan], Objective]] = {
    "mlm": MlmObjective,
    "mlm+sop": partial(PairObjective, task="sop"),
    "mlm+nsp": partial(PairObjective, task="nsp"),
    "rtd": ReplacedObjective,
    "all_tokens": AllTokensObjective,
    "mass": FragmentObjective,
    "causal": CausalObjective,
}
