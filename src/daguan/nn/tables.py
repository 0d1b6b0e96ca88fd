"""The tables of what `pretrain` and `train` choose by name: optimisers, schedules, averages, adversaries."""

from __future__ import annotations

from daguan.core.tables import Row

OPTIMISERS = {
    "adamw": Row("daguan.nn.optimisers:new_adamw"),
    "radam": Row("daguan.nn.optimisers:new_radam"),
    "muon": Row("daguan.nn.optimisers:new_muon", ("muon_learning_rate",)),
}
SCHEDULES = {
    "linear": Row("daguan.nn.optimisers:LinearSchedule"),
    "flat_cosine": Row("daguan.nn.optimisers:FlatCosineSchedule"),
}
MOMENTA = ("maintain", "reset", "pullback")  # what a synchronisation of Lookahead does to the inner momentum
AVERAGES = {
    "ema": Row("daguan.nn.averaging:moving_share", ("ema_decay",)),
    "swa": Row("daguan.nn.averaging:equal_share", ("swa_start",)),
    "none": Row("daguan.nn.averaging:whole_share"),
}
ADVERSARIES = {
    "none": Row("daguan.nn.adversary:no_adversary"),
    "fgm": Row("daguan.nn.adversary:fgm", ("fgm_epsilon", "adversary_start")),
    "awp": Row("daguan.nn.adversary:awp", ("awp_epsilon", "adversary_start")),
}
