"""The settings of pretraining: its length, objective and optimiser."""

from __future__ import annotations

from typing import Any, ClassVar

from daguan.core.needs import Reader, by_row
from daguan.core.settings import section, setting
from daguan.core.tables import names_in
from daguan.data.batches.masking import MaskingSettings
from daguan.models.encoders.table import objective_of
from daguan.nn.optimiser_settings import OptimiserSettings
from daguan.nn.tables import OPTIMISERS
from daguan.training.objectives.table import OBJECTIVES


def _objective(whole: Any) -> str:
    return objective_of(whole.model.encoder, whole.pretrain.objective)


class PretrainSettings(OptimiserSettings):
    """Pretraining of an encoder on all the text, from random weights or from a public checkpoint."""

    READ_WHEN: ClassVar[tuple[Reader, ...]] = (by_row("pretrain.objective", OBJECTIVES, _objective),)

    tokens: int = setting(4_000_000, "Tokens to read in all, repeats counted; 0 skips pretraining.", ge=0)
    objective: str = setting(
        "",
        f"The objective: {names_in(OBJECTIVES)}; empty for the encoder's own (mass, or causal of transformer_xl), or "
        "else mlm.",
        choices=OBJECTIVES,
    )
    batch_size: int = setting(32, "Blocks of text in a batch.", ge=1)
    accumulation: int = setting(
        1, "Batches in an update; the update equals that of one batch of all their blocks.", ge=1
    )
    optimiser: str = setting("muon", f"The optimiser: {names_in(OPTIMISERS)}.", choices=OPTIMISERS)
    learning_rate: float = setting(1e-3, "Peak learning rate of AdamW, RAdam or LAMB.", gt=0)
    muon_learning_rate: float = setting(0.02, "Peak learning rate of Muon.", gt=0)
    beta2: float = setting(
        0.98, "β₂ of the Adam family; the default is RoBERTa's (Liu et al. 2019, arXiv 1907.11692 §3.1).", ge=0, lt=1
    )
    dropout: float = setting(
        0.0,
        "Rate of dropout in pretraining, after the embeddings and each sublayer, and of attention weights where the "
        "encoder is Hugging Face's; BERT has 0.1 (Devlin et al. 2019, arXiv 1810.04805 §A.2). Over 0 an update has "
        "one replica of the model.",
        ge=0,
        lt=1,
    )
    warmup: float = setting(0.06, "Share of the updates in which the learning rate rises to its peak.", ge=0, lt=1)
    clip: float = setting(1.0, "Largest norm of the gradient; 0 does not clip, as RoBERTa's released recipe.", ge=0)
    checkpoint_seconds: float = setting(30.0, "Seconds between two checkpoints.")
    generator_layers: float = setting(
        0.25,
        "Depth of the generator as a share of the encoder's. ELECTRA (arXiv 2003.10555 §3.2) finds a quarter to a half "
        "best, of the width, which here stays that of the encoder.",
        gt=0,
        le=1,
    )
    replaced_weight: float = setting(
        50.0,
        "Weight of the encoder's loss beside the generator's (ELECTRA §3.1; 50 in its appendix A).",
        gt=0,
    )
    fragment: float = setting(
        0.5,
        "Share of a block that the decoder writes (MASS, Song et al. 2019, arXiv 1905.02450 §4.4, finds a half best).",
        gt=0,
        le=1,
    )
    masking: MaskingSettings = section(MaskingSettings)
