"""The settings that optimisers read, which pretraining and fine-tuning share. The defaults are those of fine-tuning."""

from __future__ import annotations

from daguan.core.settings import Section, setting
from daguan.core.tables import names_in
from daguan.nn.tables import OPTIMISERS


class OptimiserSettings(Section):
    """The settings that optimisers read."""

    optimiser: str = setting("adamw", f"The optimiser: {names_in(OPTIMISERS)}.", choices=OPTIMISERS)
    muon_learning_rate: float = setting(5e-3, "Peak learning rate of Muon.", gt=0)
    weight_decay: float = setting(
        0.01,
        "Decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101), on weights of linear, embedding and "
        "recurrent layers.",
        ge=0,
    )
    beta2: float = setting(0.999, "β₂ of the Adam family.", ge=0, lt=1)
