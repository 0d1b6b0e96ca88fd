"""Trains the sides of a claim with several seeds, continues where it was stopped, and compares them.

Each side with each seed is written once, and used again by a longer run with more seeds or the full grid. Seeds are the
outer loop, so that a stopped run has whole seeds: as many at a time as there are processes, or as the minutes allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from daguan.core import settings
from daguan.core.progress import Bar, Progress, say
from daguan.experiments.claims.claim import Claim, ClaimSettings, Comparison, Fact, Part
from daguan.experiments.claims.parts import (
    Wanted,
    claim_of,
    part_of,
    processes_of,
    run_of_part,
    train_parts,
    wall_seconds,
)
from daguan.experiments.claims.table import CLAIMS
from daguan.experiments.claims.verdict import AGAINST, HOLDS, NOT_SEEN, Interval, paired_interval, verdict_of


@dataclass(frozen=True)
class Compared:
    """A comparison with the difference that was measured, over `seeds` seeds."""

    comparison: Comparison
    interval: Interval
    seeds: int

    @property
    def verdict(self) -> str:
        return verdict_of(self.interval, self.comparison.sign)


@dataclass(frozen=True)
class Outcome:
    """A finished run of a claim.

    Attributes:
        parts: all sides with all seeds, seed after seed, with the figures that relate sides.
        left_out: seeds that the minutes did not allow.
        seconds: wall time of all training.
    """

    name: str
    claim: Claim
    chosen: ClaimSettings
    parts: tuple[Part, ...]
    left_out: int
    seconds: float

    @property
    def folder(self) -> Path:
        return Path(self.chosen.work) / f"reproduce-{self.name}"

    @cached_property
    def facts(self) -> Sequence[Fact]:
        return tuple(self.claim.facts(self.chosen))

    @cached_property
    def compared(self) -> tuple[Compared, ...]:
        """The comparisons whose sides were trained."""
        found = [(one, self._differences(one)) for one in self.claim.comparisons]
        return tuple(Compared(one, paired_interval(those), len(those)) for one, those in found if those)

    def _differences(self, one: Comparison) -> list[float]:
        """Returns the difference of each seed; none where a side was not trained or has no such figure."""
        of = {(part.side, part.seed): part.figures[one.figure] for part in self.parts if one.figure in part.figures}
        seeds = [seed for side, seed in of if side == one.side and (one.other, seed) in of]
        return [of[one.side, seed] - of[one.other, seed] for seed in seeds]

    @property
    def verdict(self) -> str:
        """The verdict of the first comparison; of a claim that has none, of its facts."""
        if self.compared:
            return self.compared[0].verdict
        return (HOLDS if all(fact.agrees for fact in self.facts) else AGAINST) if self.facts else NOT_SEEN


def load(name: str, words: Sequence[str]) -> ClaimSettings:
    """Returns the settings that the words `key=value` give. Raises ConfigError: a wrong setting."""
    return settings.load(claim_of(name).settings, None, words)


def run_claim(name: str, chosen: ClaimSettings) -> Outcome:
    """Trains what is not trained yet, and returns all that the settings name.

    Seeds are left out if they would take the run over its minutes, at the longest time that a seed took so far. The
    time of parts that were trained before counts, so that a run that was stopped leaves out what a whole run leaves
    out.
    """
    claim, processes = claim_of(name), processes_of(chosen)
    sides = claim.sides(chosen)
    parts: list[Part] = []
    spent = longest = 0.0
    first = 1
    with Bar(f"reproduce {name}") as bar:
        while first <= chosen.seeds:
            seeds = range(first, min(first + processes, chosen.seeds + 1))
            wanted, missing = _wanted_and_missing(name, sides, seeds, chosen)
            while missing and first > 1 and spent + longest * len(seeds) > 60 * chosen.minutes:
                seeds = seeds[:-1]
                wanted, missing = _wanted_and_missing(name, sides, seeds, chosen)
            if not seeds:
                used = f"{spent / 60:.1f} of {chosen.minutes:g} min used"
                say(f"reproduce: {used}; seeds from {first} on are left out")
                break
            done = len(parts) + len(wanted) - len(missing)
            bar.show(Progress(done, chosen.seeds * len(sides), "sides"))
            for count, one in enumerate(train_parts(missing, processes), done + 1):
                note = f"{one.side}, seed {one.seed} of {chosen.seeds}"
                bar.show(Progress(count, chosen.seeds * len(sides), "sides", note=note))
            trained = {(one.side, one.seed): part_of(one) for one in wanted}
            seconds = wall_seconds([part.seconds for part in trained.values()], processes)
            spent, longest = spent + seconds, max(longest, seconds / len(seeds))
            for seed in seeds:
                parts += _related(claim, [trained[side, seed] for side in sides], chosen)
            first = seeds.stop
    return Outcome(name, claim, chosen, tuple(parts), chosen.seeds + 1 - first, spent)


def _wanted_and_missing(
    name: str, sides: Sequence[str], seeds: Sequence[int], chosen: ClaimSettings
) -> tuple[list[Wanted], list[Wanted]]:
    """Returns the parts of these seeds, and those of them that are not trained yet."""
    wanted = [Wanted(name, side, seed, chosen) for side in sides for seed in seeds]
    return wanted, [one for one in wanted if not run_of_part(one).finished]


def _related(claim: Claim, parts: Sequence[Part], chosen: ClaimSettings) -> list[Part]:
    """Returns the parts of one seed with the figures that relate them."""
    figures = claim.relate({part.side: dict(part.figures) for part in parts}, chosen)
    return [Part(part.side, part.seed, figures[part.side], part.seconds) for part in parts]


def record(outcome: Outcome) -> dict[str, Any]:
    """Returns an outcome as JSON can hold it: each number of each part, without the lists that only plots need."""
    compared = [
        {**vars(one.comparison), **vars(one.interval), "seeds": one.seeds, "verdict": one.verdict}
        for one in outcome.compared
    ]
    return {
        "claim": outcome.name,
        "says": CLAIMS[outcome.name].about,
        "paper": outcome.claim.paper,
        "verdict": outcome.verdict,
        "settings": settings.to_dict(outcome.chosen),
        "seconds": round(outcome.seconds, 1),
        "seeds_left_out": outcome.left_out,
        "comparisons": compared,
        "facts": [vars(fact) for fact in outcome.facts],
        "parts": [
            {"side": part.side, "seed": part.seed, "seconds": part.seconds, "figures": _numbers(part)}
            for part in outcome.parts
        ],
    }


def _numbers(part: Part) -> dict[str, float]:
    return {name: value for name, value in part.figures.items() if isinstance(value, int | float)}
