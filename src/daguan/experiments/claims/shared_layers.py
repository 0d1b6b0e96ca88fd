"""What ALBERT changes of an encoder, on the modern encoder: narrow embeddings, and weights that all layers share."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from daguan.experiments.claims.albert_sizes import ALL, ATTENTION, FFN, NONE
from daguan.training.objectives.base import Objective, Plan
from daguan.training.objectives.table import OBJECTIVES

PARTS = {
    ATTENTION: ("attention_norm", "attention"),
    FFN: ("feed_forward_norm", "feed_forward"),
    ALL: ("attention_norm", "attention", "feed_forward_norm", "feed_forward"),
    NONE: (),
}


class FactorisedEmbedding(nn.Module):
    """A table (V,E) and a map to the layers' width H (ALBERT §3.1).

    `weight` (V,H) is their product, by which the head predicts tokens: it maps back to E and compares with the table.
    """

    def __init__(self, entries: int, embedding: int, hidden: int, std: float) -> None:
        super().__init__()
        self.table, self.map = nn.Embedding(entries, embedding), nn.Linear(embedding, hidden, bias=False)
        nn.init.normal_(self.table.weight, std=std)
        nn.init.normal_(self.map.weight, std=embedding**-0.5)

    @property
    def weight(self) -> Tensor:
        return self.table.weight @ self.map.weight.T

    def forward(self, token_ids: Tensor) -> Tensor:
        """(B,T) → (B,T,H)."""
        embedded: Tensor = self.map(self.table(token_ids))
        return embedded


def share(encoder: Any, shared: str, embedding: int) -> None:
    """Change a modern encoder: each layer takes these parts of the first one; embeddings as wide as the layers stay."""
    first, *others = encoder.layers
    for layer in others:
        for part in PARTS[shared]:
            setattr(layer, part, getattr(first, part))
    config = encoder.config
    if embedding != config.hidden_size:
        encoder.embeddings = FactorisedEmbedding(
            config.vocab_size, embedding, config.hidden_size, config.initializer_range
        )


def shared_objective(plan: Plan, objective: str, shared: str, embedding: int) -> Objective:
    """Returns an objective of the table whose encoder shares its layers' weights."""
    made: Objective = OBJECTIVES[objective].load()(plan)
    lm: Any = getattr(made.model, "lm", made.model)
    share(lm.model.base_model, shared, embedding)
    made.model.to(plan.device)
    return made


def objective_maker(objective: str, shared: str, embedding: int) -> partial[Objective]:
    """Returns what makes that objective of a plan."""
    return partial(shared_objective, objective=objective, shared=shared, embedding=embedding)
