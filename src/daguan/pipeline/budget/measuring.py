"""Measures every rate that a plan needs once: of members, of what they start from, of reading."""

from __future__ import annotations

import math
from pathlib import Path

from daguan.core.errors import DaguanError, DivergenceError
from daguan.core.progress import say
from daguan.core.types import Sentence
from daguan.data.augmentation import AugmentationSettings
from daguan.data.conflicts import ConflictSettings
from daguan.data.contest import Contest
from daguan.data.vocabulary import Vocabulary
from daguan.families.family import family_of
from daguan.families.fold import FoldJob
from daguan.families.member import MemberSettings
from daguan.pipeline.budget.choosing import rounded_down
from daguan.pipeline.budget.costs import Facts, MemberRates, Rates
from daguan.pipeline.budget.trials import (
    FOLDS,
    measure_members,
    measure_pretraining,
    measure_vectors,
    sample_tokens,
    write_sample,
)
from daguan.pipeline.budget.workload import is_pretrained, start_of, starts
from daguan.pipeline.settings import Settings
from daguan.training.devices import find_device, share_cores
from daguan.training.engine_settings import EngineSettings


def measure(
    rungs: list[Settings], scratch: Path, train: list[Sentence], test: list[Sentence], facts: Facts,
    reading: float, numbering: float,
) -> Rates:  # fmt: skip
    """Returns the rates of everything that a rung needs.

    Work that fails has no rate, nor has a member that starts from it. Raises DaguanError if no member has a rate.

    Args:
        scratch: a folder with all the text as ids.
        reading: seconds of reading the files.
        numbering: seconds of numbering the text.
    """
    members = {name: rung.member(name) for rung in reversed(rungs) for name in rung.members}
    say(f"budget: trying {', '.join(members)}")
    begun, failed = _starts(rungs, scratch)
    members = {name: member for name, member in members.items() if start_of(member) not in failed}
    if not members:
        raise next(iter(failed.values()))
    slowest = min(begun["pretraining"].values(), default=math.inf)
    return Rates(
        reading=rounded_down((facts.train_tokens + facts.test_tokens) / reading),
        numbering=rounded_down(facts.text_tokens / numbering),
        **begun,
        members=_members(rungs, members, scratch, train, test, slowest),
    )


def _starts(rungs: list[Settings], prepared: Path) -> tuple[dict[str, dict[str, float]], dict[str, DaguanError]]:
    """Returns the tokens a second of each start that succeeded, and the errors of the others."""
    vocabulary = Vocabulary.load(prepared)
    rates: dict[str, dict[str, float]] = {"pretraining": {}, "vectors": {}}
    failed: dict[str, DaguanError] = {}
    for name, member in {name: member for rung in rungs for name, member in starts(rung).items()}.items():
        try:
            if is_pretrained(member):
                rates["pretraining"][name] = measure_pretraining(
                    member.model.encoder, member.encoder, member.pretrain, rungs[0].engine, prepared, vocabulary,
                    member.seed,
                )  # fmt: skip
            else:
                width = member.encoder.width
                rates["vectors"][name] = measure_vectors(member.vectors, width, prepared, vocabulary, member.seed)
        except DivergenceError as error:
            say(f"budget: the trial of {name} FAILED: {error}; no rung counts on members that start from it")
            failed[name] = error
    return rates, failed


def _members(
    rungs: list[Settings], members: dict[str, MemberSettings], scratch: Path, train: list[Sentence],
    test: list[Sentence], pretraining: float,
) -> dict[str, MemberRates]:  # fmt: skip
    """Returns the rates of the members. pretraining: its tokens a second, which determine the size of a trial."""
    vocabulary = Vocabulary.load(scratch)
    most = max(rungs, key=lambda rung: len(rung.members) * rung.folds.count)
    workers, threads = share_cores(most.engine, len(most.members) * most.folds.count)
    on_gpu = find_device(most.engine).type != "cpu"
    for family in {member.family for member in members.values()}:
        tokens = sample_tokens(family_of(family), on_gpu, pretraining / workers, most.budget.minutes)
        write_sample(scratch / family, train, test, vocabulary, tokens, most.seed)
    jobs = [
        _job(name, member, most.engine, fold, scratch, threads)
        for name, member in members.items()
        for fold in range(FOLDS)
    ]
    return measure_members(jobs, share_cores(most.engine, len(jobs))[0])


def _job(name: str, member: MemberSettings, engine: EngineSettings, fold: int, scratch: Path, threads: int) -> FoldJob:
    """Returns the job of a brief trial of a member on its family's sample, without augmentation."""
    brief = family_of(member.family).brief(member)
    sample = Contest(scratch / member.family)
    return FoldJob(
        member=name,
        settings=brief.replace(augmentation=AugmentationSettings(), conflicts=ConflictSettings()),
        engine=engine,
        fold=fold,
        folds=FOLDS,
        folder=str(scratch / f"{name}-fold{fold}"),
        train=str(sample.train),
        test=str(sample.test),
        prepared=str(sample.folder),
        threads=threads,
    )
