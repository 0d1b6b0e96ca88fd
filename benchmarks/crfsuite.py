"""CRFsuite, the program that the n-gram CRF's training follows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pycrfsuite

from daguan.core.types import Sentence
from daguan.data.ngram_features import features
from daguan.data.tags import TagScheme
from daguan.families.ngram_crf_settings import NgramCrfSettings


class Trainer(pycrfsuite.Trainer):
    """Keeps the loss of each iteration."""

    def __init__(self) -> None:
        super().__init__(algorithm="lbfgs", verbose=False)
        self.losses: list[float] = []

    def message(self, message: str) -> None:
        if self.logparser.feed(message) == "iteration":
            self.losses.append(self.logparser.last_iteration["loss"])


def crfsuite(
    sentences: Sequence[Sentence], scheme: TagScheme, settings: NgramCrfSettings
) -> tuple[pycrfsuite.Tagger, list[float]]:
    """Returns CRFsuite's model of the lines, whose features are named by their hashes, and its losses."""
    trainer = Trainer()
    trainer.set_params(
        {
            "c1": settings.c1,
            "c2": settings.c2,
            "max_iterations": settings.iterations,
            "feature.minfreq": settings.min_count,
        }
    )
    for sentence in sentences:
        named = [[str(feature) for feature in row] for row in features([sentence.tokens])[0].tolist()]
        trainer.append(named, [scheme.tags[tag] for tag in scheme.encode(len(sentence.tokens), sentence.gold)])
    tagger = pycrfsuite.Tagger()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        trainer.train(str(path))
        tagger.open(str(path))
    return tagger, trainer.losses
