"""The family of taggers: an encoder and a head, fine-tuned on each fold."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from daguan.core.tables import Row
from daguan.families.family import Family, Model
from daguan.families.fold import FoldData, FoldJob, FoldResult
from daguan.families.job import Report
from daguan.families.member import MemberSettings
from daguan.models.encoders.table import ENCODERS
from daguan.models.heads.table import HEADS
from daguan.training.engine_settings import EngineSettings
from daguan.training.token_vector_settings import NO_VECTORS


class TaggerFamily(Family):
    """Encoder and head, fine-tuned. What computes is in families/tagger_fold.py."""

    reads: ClassVar[tuple[str, ...]] = ("encoder", "conflicts", "augmentation", "model", "train")
    divides: ClassVar[bool] = True
    resumes: ClassVar[bool] = True

    def starts_from_pretraining(self, settings: MemberSettings) -> bool:
        """Returns whether there is a pretrained encoder, a checkpoint, or token vectors to start from."""
        if ENCODERS[settings.model.encoder].pretrained:
            return settings.pretrain.tokens > 0 or bool(settings.encoder.checkpoint)
        return settings.vectors.kind != NO_VECTORS

    def train(self, job: FoldJob, data: FoldData, report: Report) -> FoldResult:
        from daguan.families.tagger_fold import train

        return train(job, data, report)

    def holds(self, folder: Path) -> bool:
        from daguan.training.prediction import FILE

        return (folder / FILE).is_file()

    def load(self, folder: Path, engine: EngineSettings) -> Model:
        from daguan.families.tagger_fold import load

        return load(folder, engine)

    def evaluations(self, settings: MemberSettings) -> int:
        return settings.train.evaluations

    def rows(self, settings: MemberSettings) -> tuple[Row, ...]:
        return tuple(HEADS[name] for name in settings.model.scorers)
