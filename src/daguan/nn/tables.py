"""The tables of what `pretrain` and `train` choose by name: optimisers, schedules, averages, adversaries."""

from __future__ import annotations

from dataclasses import dataclass

from daguan.core.tables import Row


@dataclass(frozen=True)
class OptimiserRow(Row):
    """One optimiser; `path` names the function that makes it.

    Attributes:
        needs_matrices: whether it needs trained matrices inside the encoder's layers.
    """

    needs_matrices: bool = False


OPTIMISERS = {
    "adamw": OptimiserRow("daguan.nn.optimisers:new_adamw", about="Loshchilov & Hutter 2019, arXiv 1711.05101"),
    "radam": OptimiserRow(
        "daguan.nn.optimisers:new_radam", about="Liu et al. 2020, arXiv 1908.03265, with decoupled decay"
    ),
    "lamb": OptimiserRow("daguan.nn.lamb:new_lamb", about="You et al. 2020, arXiv 1904.00962, ALBERT's"),
    "muon": OptimiserRow(
        "daguan.nn.optimisers:new_muon",
        ("muon_learning_rate",),
        "matrices in the encoder's layers by Muon, others by AdamW",
        needs_matrices=True,
    ),
}
WITHOUT_MATRICES = tuple(name for name, row in OPTIMISERS.items() if not row.needs_matrices)
SCHEDULES = {
    "linear": Row("daguan.nn.optimisers:LinearSchedule"),
    "flat_cosine": Row(
        "daguan.nn.optimisers:FlatCosineSchedule", about="at the peak for 75 % of the updates, then half a cosine"
    ),
}
MOMENTA = ("maintain", "reset", "pullback")  # what a synchronisation of Lookahead does to the inner momentum
AVERAGES = {
    "ema": Row(
        "daguan.nn.averaging:moving_share", ("ema_decay",), "a moving average; Kingma & Ba 2015, arXiv 1412.6980 §7.2"
    ),
    "swa": Row(
        "daguan.nn.averaging:equal_share",
        ("swa_start",),
        "the equal average of those after each update; Izmailov et al. 2018, arXiv 1803.05407",
    ),
    "none": Row("daguan.nn.averaging:whole_share", about="the last ones"),
}
ADVERSARIES = {
    "none": Row("daguan.nn.adversary:no_adversary"),
    "fgm": Row(
        "daguan.nn.adversary:fgm",
        ("fgm_epsilon", "adversary_start"),
        "of the embeddings; Miyato et al. 2017, arXiv 1605.07725 §3",
    ),
    "awp": Row(
        "daguan.nn.adversary:awp",
        ("awp_epsilon", "adversary_start"),
        "of all weights; Wu et al. 2020, arXiv 2004.05884 §4",
    ),
}
