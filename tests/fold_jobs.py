"""Fold jobs as tests need them: most fields empty, the settings a member's."""

from __future__ import annotations

from pathlib import Path

from daguan.data.contest import Contest
from daguan.families.fold import FoldJob
from daguan.families.member import MemberSettings
from daguan.training.engine_settings import EngineSettings


def fold_job(
    member: str, fold: int, settings: MemberSettings | None = None, folder: str = "", where: Path | None = None,
    folds: int = 2, engine: EngineSettings | None = None,
) -> FoldJob:  # fmt: skip
    """A job in `folder`, of a contest that is prepared in the folder `where`."""
    contest = Contest(where) if where else None
    return FoldJob(
        member=member,
        settings=settings or MemberSettings(),
        engine=engine or EngineSettings(),
        fold=fold,
        folds=folds,
        folder=folder,
        train=str(contest.train) if contest else "",
        test=str(contest.test) if contest else "",
        prepared=str(where or ""),
        threads=1,
    )
