"""The settings of the blend, and the table of its methods."""

from __future__ import annotations

from daguan.core.settings import Section, require, setting
from daguan.core.tables import Row, names_in

METHODS = {
    "mean": Row("daguan.ensemble.weighting:MEAN", about="of marginals"),
    "weights": Row(
        "daguan.ensemble.weighting:WEIGHTS",
        about="of that mean, by ensemble selection on held-out lines; Caruana et al. 2004",
    ),
    "thresholds": Row(
        "daguan.ensemble.weighting:THRESHOLDS", about="the plain mean with a bias for each type that maximises span F1"
    ),
    "weights+thresholds": Row("daguan.ensemble.weighting:WEIGHTS_AND_THRESHOLDS", about="both"),
    "vote": Row("daguan.ensemble.voting:VOTE", about="on the members' spans"),
    "stack": Row(
        "daguan.ensemble.stacking:STACK",
        about="a logistic regression and boosted trees on what members say of a span, on a lexicon of the training "
        "lines, and on how its string occurs in all the text; Wolpert 1992, and for the lexicon rank 5, github "
        "shifop/datagrand_bert",
    ),
}


class BlendSettings(Section):
    """How the members' answers become one."""

    runs: tuple[str, ...] = setting(
        (),
        "Folders of trained members in the work folder, as `runs` lists them, such as tagger-1a2b3c; empty takes this "
        "configuration's members.",
    )
    method: str = setting(
        "stack",
        f"The method: {names_in(METHODS)}.",
        choices=METHODS,
    )
    lookup: bool = setting(
        False,
        "Whether test lines that occur in train get train's commonest labels, in the submission alone (no held-out "
        "line occurs in train, and `predict` looks nothing up).",
    )

    def check(self) -> None:
        require("runs", len(set(self.runs)) == len(self.runs), "distinct runs", self.runs)
