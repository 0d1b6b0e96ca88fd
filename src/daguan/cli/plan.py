"""plan [CONFIG] [key=value …]: which plan.submissions of the submissions to send today, which two to choose at the end.

plan record NAME SCORE [CONFIG] [key=value …]: write down what the leaderboard said of one, e.g. 0.9359.

Candidates are the submissions that `submit` wrote for the contest's test file. "expected" is the score on the public
board, "best yet" the probability in percent that it beats every recorded one, "at the end" the expected private score,
"agrees with" the sent submission with the likest answer and the span F1 between both.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from daguan.cli.plan_table import print_plan
from daguan.competition import public_scores as board
from daguan.competition.candidates import Candidate, read_candidates
from daguan.competition.forecast import LineCounts
from daguan.competition.planner import Planner
from daguan.core.errors import ConfigError, DataError
from daguan.core.progress import say
from daguan.data.contest import TEST, Contest
from daguan.data.format import iter_lines
from daguan.pipeline.settings import Settings, load
from daguan.pipeline.stages import Stages

RECORD = "record"


def main(words: list[str]) -> None:
    if words[:1] == [RECORD]:
        record(words[1:])
        return
    settings = load(words)
    candidates, contest = _candidates(settings)
    lines = LineCounts(*(sum(1 for _ in iter_lines(path)) for path in (contest.train, contest.test)))
    recorded = board.read_scores(Path(settings.data.submissions))
    print_plan(Planner(candidates, lines, settings.plan).plan(recorded))


def record(words: list[str]) -> None:
    """Raises ConfigError: no such submission for this contest, or no such score."""
    if len(words) < 2:
        raise ConfigError("plan record: expected NAME SCORE [CONFIG.yaml] [key=value …]")
    name, score = words[0].removesuffix(".txt"), board.parse_score(words[1])
    settings = load(words[2:])
    folder = Path(settings.data.submissions)
    known = [candidate.name for candidate in _candidates(settings)[0]]
    if name not in known:
        raise ConfigError(f"plan record: expected a submission of {', '.join(known)}, got {name!r}")
    before = board.record(folder, name, score, datetime.date.today().isoformat())
    note = "" if before is None else f", in place of {before:g}"
    say(f"plan: {name} scored {score:g}{note} ({folder / board.BOARD})")


def _candidates(settings: Settings) -> tuple[list[Candidate], Contest]:
    """Returns the submissions and the contest. Raises DataError: there is none."""
    stages = Stages(settings)
    folder = Path(settings.data.submissions)
    candidates = read_candidates(folder, stages.data_sha256[TEST])
    if not candidates:
        test = stages.contest.test
        raise DataError(f"{folder}: expected submissions to {test}, got none; run `submit` first")
    return candidates, stages.contest
