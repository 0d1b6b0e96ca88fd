"""What trials are made on: samples of the real lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from daguan.core.files import write_json
from daguan.core.types import Sentence, Span, labels_of
from daguan.data.folds import read_fold
from daguan.data.format import read_labelled, read_unlabelled
from daguan.data.vocabulary import SPECIALS, Vocabulary
from daguan.families.family import family_of
from daguan.families.fold import FoldJob
from daguan.families.member import MemberSettings
from daguan.families.ngram_crf import TRIAL_TOKENS
from daguan.pipeline.budget import trials
from daguan.pipeline.budget.choosing import STEP, rounded_down
from daguan.pipeline.budget.trials import (
    FOLDS,
    LEAST_TOKENS,
    LINES,
    MINUTES,
    TEST_TOKENS,
    TOKENS,
    USUAL,
    measure_members,
    sample_of,
    sample_tokens,
    write_sample,
)
from daguan.pipeline.engines.running import WorkerError
from daguan.pipeline.engines.supervision import Supervisor
from fold_jobs import fold_job

RARE = Sentence(("r", "e"), (Span(0, 1, "rare"),))
TRAIN = [Sentence((f"w{line}", "b", "c"), (Span(1, 2, "a"),)) for line in range(400)] + [RARE]
TEST = [Sentence((f"t{line}", "b")) for line in range(100)]


@pytest.mark.parametrize("tokens", [1, 100, 600, 10**6])
def test_a_sample_has_about_so_many_tokens_and_every_type(tokens: int) -> None:
    sample = sample_of(TRAIN, tokens, 1)
    size = sum(len(sentence.tokens) for sentence in sample)
    assert abs(size - min(max(tokens, LINES * 3), 3 * 400 + 2)) <= 3
    assert labels_of(sample) == ("a", "rare")
    assert sample == sample_of(TRAIN, tokens, 1)


ONE_EPOCH = family_of("tagger").brief(MemberSettings())


def test_unlabelled_lines_are_taken_evenly() -> None:
    assert sample_of(TEST, 40, 1) == TEST[::5]


def test_a_written_sample_is_a_contest_in_folds(tmp_path: Path) -> None:
    write_sample(tmp_path, TRAIN, TEST, Vocabulary(SPECIALS), 60, 1)
    train = read_labelled(tmp_path / "train.txt")
    unlabelled = read_unlabelled(tmp_path / "test.txt")
    assert unlabelled == TEST * (len(unlabelled) // len(TEST))
    assert 0 <= sum(len(sentence.tokens) for sentence in unlabelled) - TEST_TOKENS < 2 * len(TEST)
    held_out = [line for fold in range(FOLDS) for line in read_fold(tmp_path, fold).held_out.tolist()]
    assert sorted(held_out) == list(range(len(train)))


def test_a_slow_machine_gets_a_smaller_sample() -> None:
    assert sample_tokens(family_of("tagger"), False, 10 * USUAL, MINUTES) == TOKENS
    assert sample_tokens(family_of("tagger"), False, USUAL / 2, MINUTES) == TOKENS / 2
    assert sample_tokens(family_of("tagger"), False, 1.0, MINUTES) == LEAST_TOKENS
    assert sample_tokens(family_of("tagger"), True, float("inf"), MINUTES) > TOKENS
    assert sample_tokens(family_of("ngram_crf"), True, float("inf"), 1.0) == TRIAL_TOKENS


def test_more_minutes_get_a_larger_sample_up_to_twice_as_large() -> None:
    sizes = [sample_tokens(family_of("tagger"), False, USUAL, MINUTES * times) for times in (0.1, 0.75, 1, 1.5, 2, 20)]
    assert sizes == [LEAST_TOKENS, *(TOKENS * times for times in (0.75, 1, 1.5, 2, 2))]


@pytest.mark.parametrize("failing", [set(), {"b"}, {"a", "b"}])
def test_a_job_costs_beside_its_work_what_its_wall_clock_is_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: set[str]
) -> None:
    """And a member that fails has no rates, which is an error where all do."""
    write_sample(tmp_path, TRAIN, TEST, Vocabulary(SPECIALS), 60, 1)
    held_out = [3 * len(read_fold(tmp_path, fold).held_out) for fold in range(FOLDS)]  # tokens, but for one line
    jobs = [
        fold_job(member, fold, ONE_EPOCH, str(tmp_path / f"{member}{fold}"), tmp_path)
        for member in ("a", "b")
        for fold in range(FOLDS)
    ]
    for job in jobs:
        write_json(Path(job.folder) / "result.json", {"seconds": 100.0, "test_tokens_per_second": 10})

    def run_jobs(jobs: list[FoldJob], workers: int, supervisor: Supervisor) -> dict[str, float]:
        for job in jobs:
            if job.member in failing:
                supervisor.failed(WorkerError(f"{job.name}: killed"), job.member)
        return {job.name: 107.5 + (held_out[job.fold] + TEST_TOKENS) / 10 for job in jobs}

    monkeypatch.setattr(trials, "run_jobs", run_jobs)
    if failing == {"a", "b"}:
        with pytest.raises(WorkerError, match="a fold 0: killed"):
            measure_members(jobs, 1)
        return
    rates = measure_members(jobs, 1)
    assert set(rates) == {"a", "b"} - failing
    assert rates["a"].starting == 8
    lines = read_labelled(tmp_path / "train.txt")
    exact = [sum(len(lines[place].tokens) for place in read_fold(tmp_path, fold).held_out) for fold in range(FOLDS)]
    in_all = sum(exact)  # a fold trains on what the others hold out; its seconds hold one labelling of its own
    assert rates["a"].training == rounded_down((FOLDS - 1) * in_all / sum(100 - of_fold / 10 for of_fold in exact))
    assert rates["a"].labelling == rounded_down(10)
    assert rates["a"].indexing == 0


def test_the_features_of_an_ngram_crf_are_no_part_of_its_iterations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 seconds minus 20 iterations of one second each leave 80."""
    write_sample(tmp_path, TRAIN, TEST, Vocabulary(SPECIALS), 600, 1)
    settings = family_of("ngram_crf").brief(MemberSettings(family="ngram_crf"))
    jobs = [fold_job("n", fold, settings, str(tmp_path / f"n{fold}"), tmp_path) for fold in range(FOLDS)]
    for job in jobs:
        result = {"seconds": 100.0, "seconds_an_iteration": 1.0, "test_tokens_per_second": 10}
        write_json(Path(job.folder) / "result.json", result)
    monkeypatch.setattr(trials, "run_jobs", lambda jobs, workers, supervisor: {job.name: 1_000.0 for job in jobs})
    tokens = sum(len(sentence.tokens) for sentence in read_labelled(tmp_path / "train.txt")) / FOLDS
    (rates,) = measure_members(jobs, 1).values()
    assert rates.training == pytest.approx(20 * tokens / 25, rel=STEP - 1)  # a quarter at least
    assert rates.indexing == pytest.approx(tokens / 80, rel=STEP - 1)
