"""The final scores of a configuration's members and of its blend."""

from __future__ import annotations

from typing import Any

from daguan.data.scores import score_files
from daguan.pipeline.stages import Stages


def final_scores(stages: Stages) -> dict[str, Any]:
    """Return where the blend and its submission are, and the scores of every member and of the blend: out of fold,
    with the calibration of their probabilities, and on the test lines where gold labels exist. Raises CheckpointError:
    there is no blend."""
    found, test = own_scores(stages), scores_on_test(stages)
    return found | {"test": test} if test else found


def own_scores(stages: Stages) -> dict[str, Any]:
    """Return what `final_scores` does, without the scores on the test lines."""
    blend = stages.answered()
    places = {"model": str(stages.answer.path), "submission": str(stages.submission)}
    found = {**places, "final": blend["final"]}
    found["out_of_fold"] = {name: stages.translation.scores(scores) for name, scores in blend["out_of_fold"].items()}
    by_type = stages.translation.by_type
    found["calibration"] = {
        name: one | {"by_type": by_type(one["by_type"])} for name, one in blend["calibration"].items()
    }
    return found


def scores_on_test(stages: Stages) -> dict[str, Any]:
    """Return the scores of every member and of the blend on the test lines; nothing where these have no gold labels."""
    gold = stages.contest.test_gold
    if not gold.is_file():
        return {}
    names = stages.answered()["out_of_fold"]
    return {name: stages.translation.scores(score_files(stages.answer.path / f"{name}.txt", gold)) for name in names}
