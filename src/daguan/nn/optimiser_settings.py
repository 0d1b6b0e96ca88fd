"""The settings that optimisers read, which pretraining and fine-tuning share. The defaults are those of fine-tuning."""

from __future__ import annotations

from daguan.core.needs import sibling_over_zero
from daguan.core.settings import Section, setting
from daguan.core.tables import names_in
from daguan.nn.tables import MOMENTA, OPTIMISERS


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
    lookahead_steps: int = setting(
        0,
        "Steps between two synchronisations of Lookahead (Zhang et al. 2019, arXiv 1907.08610); 0 for no Lookahead. "
        "Steps after the last synchronisation do not count.",
        ge=0,
    )
    lookahead_alpha: float = setting(
        0.5,
        "How far the slow weights move towards the fast ones; 1 moves them all the way.",
        gt=0,
        le=1,
        reads_when=sibling_over_zero("lookahead_steps"),
    )
    lookahead_momentum: str = setting(
        "maintain",
        "Effect of a synchronisation on the inner optimiser's momentum (see nn/lookahead.py).",
        choices=MOMENTA,
        reads_when=sibling_over_zero("lookahead_steps"),
    )
