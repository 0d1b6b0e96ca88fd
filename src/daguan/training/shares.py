"""What the ranks train where each keeps a share of the weights: a copy of a model that stays whole beside it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import TypeVar

from torch import nn

from daguan.nn.shares import divide
from daguan.training import ranks
from daguan.training.engine_settings import EngineSettings

Model = TypeVar("Model", bound=nn.Module)


def keeps_shares(engine: EngineSettings) -> bool:
    """Returns whether each rank keeps shares; one alone has nothing to share."""
    return engine.shard and ranks.ranks() > 1


def to_train(
    model: Model, engine: EngineSettings, layers: Sequence[Sequence[nn.Module]], entries: Sequence[str] = ()
) -> Model:
    """Returns the model, or where ranks keep shares a copy that lies in these; the model then waits on the CPU.

    layers, entries: of the model, as `divide` takes them.
    """
    if not keeps_shares(engine):
        return model
    copy, layers = deepcopy((model, layers))
    model.cpu()
    divide(copy, layers, entries)
    return copy
