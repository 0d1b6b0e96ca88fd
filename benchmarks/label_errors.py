"""Compares the report's suspected label errors with cleanlab's, on the same out-of-fold probabilities.

    python -m benchmarks.label_errors [--json] [--quick] [CONTEST …]

A share of 2 % of the training entities is damaged on purpose: dropped, given another type, or with a wrong bound. The
n-gram CRF answers out of fold on the damaged lines. Both sides rank suspects by its probabilities: ours as `daguan
report` does, cleanlab's (Northcutt et al. 2021, arXiv 1911.00068) by the label quality of tokens; its tokens of one
entity, of the damaged labels or of the model's, are one suspect. k is the number of damaged entities, and
precision at k the share of them that the first k suspects meet. Five seeds a contest; intervals are Student's, 95 %.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from benchmarks.contests import CONTESTS
from benchmarks.data import PEOPLE, QUICK_SLICE
from benchmarks.harness import ROOT, Aim, Report, machine, options
from daguan.core.seeds import stream
from daguan.core.types import Sentence, Span
from daguan.data.contest import Contest
from daguan.data.decoding import decode_lines
from daguan.data.format import format_labelled, write_lines
from daguan.data.marginals import mean
from daguan.pipeline import blend, prepare, train
from daguan.pipeline.settings import load
from daguan.pipeline.stages import Stages
from daguan.report import suspicions
from daguan.report.tracks import Labelled, labelled

NAMES = (f"{PEOPLE}_6000", "uner_zh", "ncbi")
SHARE, SEEDS = 0.02, 5
WORDS = ("members=ngram_crf", "blend.method=mean", "folds.count=3")


class Place(NamedTuple):
    """A half-open range of tokens in a training line."""

    line: int
    start: int
    stop: int

    def meets(self, other: Place) -> bool:
        return self.line == other.line and self.start < other.stop and other.start < self.stop


def main(words: list[str]) -> None:
    chosen = [word for word in words if word in NAMES]
    asked = options([word for word in words if word not in NAMES], __doc__)
    report = Report("label errors", machine(1))
    for name in chosen or NAMES[: 1 if asked.quick else None]:
        pairs = np.array([precisions(name, seed, asked.quick) for seed in range(1, 1 + (2 if asked.quick else SEEDS))])
        gains = pairs[:, 0] - pairs[:, 1]
        low, high = interval(gains)
        row = {"contest": name, "daguan, P at k": with_interval(pairs[:, 0]), "cleanlab": with_interval(pairs[:, 1])}
        row["difference"] = f"{100 * gains.mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
        report.add(row, Aim.at_least(f"{name}: difference", 0.0, float(gains.mean())))
    report.show(asked.json)


def precisions(name: str, seed: int, quick: bool) -> tuple[float, float]:
    """Returns the precision at k of ours and of cleanlab's suspects on the damaged lines of a contest."""
    base = [str(ROOT / "configs" / "small.yaml"), *(QUICK_SLICE if quick else CONTESTS[name]), *WORDS]
    prepare.make(load(base))
    contest = Stages(load(base)).contest
    lines, _ = contest.read()
    wrong, places = damaged(lines, seed)
    with tempfile.TemporaryDirectory() as folder:
        write_lines(Contest(Path(folder)).train, map(format_labelled, wrong))
        for path in (contest.test, contest.corpus, contest.groups):
            if path.is_file():
                (Path(folder) / path.name).symlink_to(path.resolve())
        settings = load([*base, f"data.dir={folder}", f"data.work={folder}/work"])
        prepare.make(settings)
        train.train(settings)
        blend.make(settings)
        found = labelled(Stages(settings))
        return precision(ours(found), places), precision(cleanlabs(found), places)


def damaged(lines: Sequence[Sentence], seed: int) -> tuple[list[Sentence], list[Place]]:
    """Returns the lines with a share SHARE of their entities damaged, and where: what the right and the wrong label
    cover. Each way that an entity can be damaged in is as likely."""
    rng = stream(seed, "damage")
    entities = [(number, place) for number, line in enumerate(lines) for place in range(len(line.gold))]
    chosen = rng.choice(len(entities), max(1, round(SHARE * len(entities))), replace=False).tolist()
    labels = sorted({span.label for line in lines for span in line.gold})
    changed, places = [list(line.gold) for line in lines], []
    for number, place in sorted((entities[one] for one in chosen), reverse=True):  # from the end of each line
        span = lines[number].gold[place]
        others = [*changed[number][:place], *changed[number][place + 1 :]]
        ways = _ways(span, others, len(lines[number].tokens), labels, rng)
        made = ways[rng.integers(len(ways))]
        changed[number][place : place + 1] = made
        ends = [(one.start, one.stop) for one in (span, *made)]
        places.append(Place(number, min(start for start, _ in ends), max(stop for _, stop in ends)))
    return [Sentence(line.tokens, tuple(spans)) for line, spans in zip(lines, changed, strict=True)], places


def _ways(
    span: Span, others: Sequence[Span], tokens: int, labels: Sequence[str], rng: np.random.Generator
) -> list[list[Span]]:
    """Returns what may stand in place of an entity: nothing, one of another type, one with a bound that is off by 1."""
    bounds = [
        (start, stop)
        for start, stop in ((span.start - 1, span.stop), (span.start + 1, span.stop), (span.start, span.stop - 1),
                            (span.start, span.stop + 1))
        if 0 <= start < stop <= tokens and all(one.stop <= start or stop <= one.start for one in others)
    ]  # fmt: skip
    types = [label for label in labels if label != span.label]
    ways: list[list[Span]] = [[]]
    if types:
        ways.append([Span(span.start, span.stop, types[rng.integers(len(types))])])
    if bounds:
        ways.append([Span(*bounds[rng.integers(len(bounds))], span.label)])
    return ways


def ours(found: Labelled) -> list[Place]:
    """Returns the suspects of a report, the most suspicious first."""
    table = suspicions.label_errors(found, {label: label for label in found.scheme.labels})
    return [Place(*row) for row in table[["line", "start", "stop"]].itertuples(index=False)]


def cleanlabs(found: Labelled) -> list[Place]:
    """Returns the suspects of cleanlab by the same probabilities, the most suspicious first."""
    from cleanlab.token_classification.rank import get_label_quality_scores

    probs = [one.astype(np.float64) / one.astype(np.float64).sum(1, keepdims=True) for one in mean(found.marginals)]
    tags = [found.scheme.encode(len(line.tokens), line.gold).tolist() for line in found.train]
    _, by_token = get_label_quality_scores(tags, probs)
    decoded = decode_lines(probs, found.scheme)
    ranked = sorted((float(score), number, at) for number, line in enumerate(by_token) for at, score in enumerate(line))
    suspects, taken = [], set[tuple[int, int]]()
    for _, number, at in ranked:
        if (number, at) in taken:
            continue
        spans = [span for span in (*found.train[number].gold, *decoded[number]) if span.start <= at < span.stop]
        place = Place(number, min([at, *(s.start for s in spans)]), max([at + 1, *(s.stop for s in spans)]))
        taken |= {(number, one) for one in range(place.start, place.stop)}
        suspects.append(place)
    return suspects


def precision(suspects: Sequence[Place], places: Sequence[Place]) -> float:
    """Returns the share of the k damaged places that the first k suspects meet."""
    first = suspects[: len(places)]
    return sum(any(one.meets(place) for one in first) for place in places) / len(places)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Returns the 95 % interval of a mean, by Student's t."""
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def with_interval(values: np.ndarray) -> str:
    low, high = interval(values)
    return f"{100 * values.mean():.1f} ({100 * low:.1f}–{100 * high:.1f})"


if __name__ == "__main__":
    main(sys.argv[1:])
