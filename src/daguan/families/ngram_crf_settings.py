"""The settings of the n-gram CRF."""

from __future__ import annotations

from daguan.core.settings import Section, setting


class NgramCrfSettings(Section):
    """The n-gram CRF, trained by L-BFGS."""

    c1: float = setting(0.05, "Weight of the L1 penalty.", ge=0)
    c2: float = setting(0.01, "Weight of the L2 penalty.", ge=0)
    iterations: int = setting(60, "Most iterations of L-BFGS.", ge=1)
    min_count: int = setting(1, "Features that occur less often are dropped.", ge=1)
    text_features: bool = setting(
        False,
        "Adds features of the text without labels: clusters of tokens, and strings by how many different neighbours "
        "they have. Training takes two to three times as long.",
    )
