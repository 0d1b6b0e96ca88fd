"""pretrain [CONFIG] [key=value …]: make what taggers start from, on all the text.

An encoder, from scratch or from a public checkpoint, or, for encoders that are not pretrained, token vectors. Under a
budget, members whose encoder fails, or for which it would come too late, are dropped.
"""

from __future__ import annotations

from daguan.pipeline import pretrain
from daguan.pipeline.budget.plan import supervised


def main(words: list[str]) -> None:
    with supervised(words) as (settings, supervisor):
        pretrain.make(settings, supervisor)
