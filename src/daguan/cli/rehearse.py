"""rehearse [CONFIG] [key=value …]: play the contest on hidden training lines, and see what `plan` would have scored.

rehearse.share of the training lines become a test file without labels, and the ordinary stages train on the rest. Each
member and the blend, of this configuration and of rehearse.configs, is a candidate. Then `plan` sends plan.submissions
a day for rehearse.days, learns their scores on a public board, and chooses two; the private board, the other hidden
lines, says what that was worth, beside other ways of choosing.
"""

from __future__ import annotations

from daguan.cli.blend import print_blend
from daguan.cli.plan_table import print_rehearsal
from daguan.pipeline import rehearse


def main(words: list[str]) -> None:
    played, trained = rehearse.make(words)
    for stages in trained:
        print_blend(stages)
    print_rehearsal(played.manifest()["outcome"])
    print(f"rehearsal: {played.path}")
