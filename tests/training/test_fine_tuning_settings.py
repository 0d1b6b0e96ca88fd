"""What makes no sense is refused, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from daguan.core.errors import ConfigError
from daguan.nn.tables import ADVERSARIES, AVERAGES, MOMENTA, OPTIMISERS, SCHEDULES, WITHOUT_MATRICES
from daguan.training.fine_tuning_settings import TrainSettings

OTHERS = " or ".join(WITHOUT_MATRICES)
WITHOUT_FGM = " or ".join(name for name in ADVERSARIES if name != "fgm")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimiser": "sgd"}, f"optimiser: expected {' or '.join(OPTIMISERS)}, got 'sgd'"),
        ({"schedule": "cosine"}, f"schedule: expected {' or '.join(SCHEDULES)}, got 'cosine'"),
        ({"lookahead_momentum": "keep"}, f"lookahead_momentum: expected {' or '.join(MOMENTA)}, got 'keep'"),
        ({"averaging": "mean"}, f"averaging: expected {' or '.join(AVERAGES)}, got 'mean'"),
        ({"adversary": "pgd"}, f"adversary: expected {' or '.join(ADVERSARIES)}, got 'pgd'"),
        ({"lookahead_steps": -1}, "lookahead_steps: expected at least 0"),
        ({"lookahead_alpha": 0.0}, "lookahead_alpha: expected over 0, at most 1"),
        ({"lookahead_alpha": 1.1}, "lookahead_alpha: expected over 0, at most 1"),
        ({"swa_start": 1.0}, "swa_start: expected at least 0, under 1, got 1.0"),
        ({"adversary_start": 1.0}, "adversary_start: expected at least 0, under 1, got 1.0"),
        ({"beta1": 1.0}, "beta1: expected at least 0, under 1, got 1.0"),
        ({"fgm_epsilon": 0.0}, "fgm_epsilon: expected over 0"),
        ({"awp_epsilon": 0.0}, "awp_epsilon: expected over 0"),
        ({"muon_learning_rate": 0.0}, "muon_learning_rate: expected over 0"),
        ({"frozen_layers": -2}, "frozen_layers: expected at least -1"),
        ({"frozen_epochs": 8}, "frozen_epochs: expected 0 to 7, as it trains for 8 epochs, got 8"),
        ({"frozen_epochs": 1, "frozen_layers": -1}, "frozen_epochs: expected 0 to 0, as the whole encoder is frozen"),
        (
            {"optimiser": "muon", "frozen_layers": -1},
            f"optimiser: expected {OTHERS} with train.frozen_layers=-1, got 'muon'",
        ),
        (
            {"adversary": "fgm", "frozen_layers": 1},
            f"adversary: expected {WITHOUT_FGM} with train.frozen_layers=1",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TrainSettings(**settings)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimiser": "muon", "frozen_layers": 2},
        {"adversary": "awp", "frozen_layers": -1},
        {"adversary": "fgm", "frozen_epochs": 7},
        {"optimiser": "radam", "lookahead_steps": 6, "schedule": "flat_cosine", "beta1": 0.95, "warmup": 0.0},
    ],
)
def test_what_makes_sense_is_taken(settings: dict[str, Any]) -> None:
    TrainSettings(**settings)
