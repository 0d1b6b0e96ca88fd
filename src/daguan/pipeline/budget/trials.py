"""Measures on the real data how fast this machine reads, pretrains, fine-tunes and labels, for each member.

Members are tried by the same jobs that will train them, in worker processes, as many at once as in training, on a
sample of lines in two folds: contention between cores is in the rates.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from daguan.core.errors import DaguanError
from daguan.core.progress import say
from daguan.core.seeds import stream_seed
from daguan.core.types import Sentence
from daguan.data.batches.packing import Blocks, TokenLines, token_file
from daguan.data.contest import Contest
from daguan.data.folds import FoldSettings, assign_folds, draw_lines, read_fold, write_folds
from daguan.data.format import format_labelled, format_unlabelled, read_labelled, read_unlabelled, write_lines
from daguan.data.vocabulary import Vocabulary
from daguan.families.family import Family, family_of
from daguan.families.fold import FoldJob, result_of
from daguan.models.encoders.settings import EncoderSettings
from daguan.pipeline.budget.choosing import rounded_down
from daguan.pipeline.budget.costs import MemberRates
from daguan.pipeline.engines.running import run_jobs
from daguan.pipeline.engines.supervision import Supervisor
from daguan.training.devices import prepare_process, share_cores
from daguan.training.engine_settings import EngineSettings
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.pretraining import Pretrainer
from daguan.training.token_vector_settings import VectorSettings

FOLDS = 2
LINES = 16  # smallest number of lines of a sample
TOKENS = 24_000  # tokens of a sample's training lines
GPU_TOKENS = 240_000
LEAST_TOKENS = 12_000
MINUTES = 30  # minutes of a budget with such a sample; a longer one has a larger one, at most twice as large
USUAL = 2_000  # tokens a second and worker of pretraining; slower machines have smaller samples in proportion
TEST_TOKENS = 8_000
VECTOR_TOKENS = 200_000
WARM, ENOUGH = 2, 50  # updates of pretraining before the clock starts, and with it at most
SECONDS = 8.0  # of pretraining at most


def sample_tokens(family: Family, on_gpu: bool, pretraining: float, minutes: float) -> int:
    """Returns the tokens of a family's sample.

    It is smaller where pretraining's tokens a second and worker are few, so that a slow machine takes about as long,
    and where the budget has few minutes; a larger sample has less of the cost of a model's first batches in its rates.
    The sample of the n-gram CRF stays large, as a small one would stay in the caches and seem too fast.
    """
    usual = (GPU_TOKENS if on_gpu else TOKENS) * min(2.0, minutes / MINUTES)
    return family.sample_tokens(max(LEAST_TOKENS, round(usual * min(1.0, pretraining / USUAL))))


def sample_of(sentences: Sequence[Sentence], tokens: int, seed: int) -> list[Sentence]:
    """Returns random lines of about that number of tokens; with labels, a line of each type among them."""
    mean = sum(len(sentence.tokens) for sentence in sentences) / len(sentences)
    lines = max(LINES, round(tokens / mean))
    if sentences[0].spans is not None:
        return draw_lines(sentences, lines, seed)
    step = max(1, len(sentences) // lines)
    return list(sentences[::step])[:lines]


def write_sample(
    folder: Path, train: Sequence[Sentence], test: Sequence[Sentence], vocabulary: Vocabulary, tokens: int, seed: int
) -> None:
    """Write a contest and the files of `prepare` into the folder.

    Its test lines are repeated where they are few, as labelling a line or two takes as long as labelling many.
    """
    lines, unlabelled = sample_of(train, tokens, seed), sample_of(test, TEST_TOKENS, seed)
    times = math.ceil(TEST_TOKENS / sum(len(sentence.tokens) for sentence in unlabelled))
    contest = Contest(folder)
    write_lines(contest.train, map(format_labelled, lines))
    write_lines(contest.test, map(format_unlabelled, unlabelled * times))
    write_folds(folder, assign_folds(lines, FoldSettings(count=FOLDS)))
    vocabulary.save(folder)


def measure_members(jobs: Sequence[FoldJob], workers: int) -> dict[str, MemberRates]:
    """Returns the rates by member, of those whose jobs all succeeded. Raises WorkerError if there is none."""
    trials = _Trials()
    seconds = run_jobs(jobs, workers, trials)
    by_member: dict[str, list[FoldJob]] = {}
    for job in jobs:
        if trials.keeps(job.member):
            by_member.setdefault(job.member, []).append(job)
    if not by_member:
        raise next(iter(trials.failures.values()))
    return {member: _rates_of(of_member, seconds) for member, of_member in by_member.items()}


class _Trials(Supervisor):
    """A member that fails is tried no further; the others are."""

    def __init__(self) -> None:
        self.failures: dict[str, DaguanError] = {}

    def keeps(self, member: str) -> bool:
        return member not in self.failures

    def failed(self, error: DaguanError, *members: str) -> None:
        for member in filter(self.keeps, members):
            self.failures[member] = error
            say(f"budget: the trial of {member} FAILED: {error}; no rung counts on it")


def _rates_of(jobs: Sequence[FoldJob], wall_clock: Mapping[str, float]) -> MemberRates:
    """Returns the rates over the folds: tokens are added, the ratios taken once.

    The seconds of an n-gram CRF hold those of its features, which dominate a trial of few iterations. Tokens are those
    of lines, so the overlap of windows is in the rate. wall_clock: the seconds of each job, by its name.
    """
    trained = seconds = answered = labelling = starting = indexed = indexing = 0.0
    for job in jobs:
        sentences = read_labelled(Path(job.train))
        fold, result = read_fold(Path(job.prepared), job.fold), result_of(job)
        of_train, of_held_out = (sum(len(sentences[i].tokens) for i in part) for part in (fold.train, fold.held_out))
        of_test = sum(len(sentence.tokens) for sentence in read_unlabelled(Path(job.test)))
        rate = max(1.0, result["test_tokens_per_second"])
        family = family_of(job.settings.family)
        learning, once = family.training_seconds(result)
        if once:
            indexed += of_train
            indexing += once
        trained += of_train * family.cost(job.settings).passes
        seconds += max(0.1, result["seconds"] / 4, learning)  # a quarter: the rates are noisy
        answered += of_held_out
        labelling += of_held_out / rate
        starting += max(0.0, wall_clock[job.name] - result["seconds"] - (of_held_out + of_test) / rate)
    each = math.ceil(starting / len(jobs))  # whole seconds, like rounded rates, so that plans agree
    indexes = rounded_down(indexed / indexing) if indexed else 0.0
    return MemberRates(rounded_down(trained / seconds), rounded_down(answered / labelling), each, indexes)


def measure_pretraining(
    architecture: str, size: EncoderSettings, settings: PretrainSettings, engine: EngineSettings,
    prepared: Path, vocabulary: Vocabulary, seed: int,
) -> float:  # fmt: skip
    """Returns the tokens a second on all cores."""
    prepare_process(share_cores(engine, 1)[1])
    tokens = 2 * (WARM + ENOUGH) * settings.batch_size * settings.accumulation * size.max_length
    brief = settings.replace(tokens=tokens)
    blocks = Blocks(token_file(prepared, len(vocabulary)), size.max_length)
    trainer = Pretrainer(architecture, size, brief, engine, blocks, len(vocabulary), seed)
    begun = time.monotonic()
    for update in trainer.steps():
        if update.done == WARM:
            begun = time.monotonic()
        elif update.done > WARM and (time.monotonic() - begun >= SECONDS or update.done == WARM + ENOUGH):
            break
    return rounded_down((trainer.done - WARM) * trainer.tokens_per_update / (time.monotonic() - begun))


def measure_vectors(settings: VectorSettings, width: int, prepared: Path, vocabulary: Vocabulary, seed: int) -> float:
    """Returns the tokens a second of an epoch."""
    from daguan.training.token_vectors import train_vectors  # gensim takes seconds to load

    lines = list(TokenLines(token_file(prepared, len(vocabulary)), vocabulary, VECTOR_TOKENS))
    begun = time.monotonic()
    train_vectors(lines, settings.replace(epochs=1), width, stream_seed(seed, "vectors"), lambda done: None)
    return rounded_down(sum(map(len, lines)) / (time.monotonic() - begun))
