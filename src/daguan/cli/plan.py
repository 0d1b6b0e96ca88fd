"""The commands `plan` and `plan record`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from daguan.cli.options import AcceptCode, Csv, Json, Words, configuration, print_json, write_csv

if TYPE_CHECKING:
    from daguan.competition.candidates import Candidate
    from daguan.data.contest import Contest
    from daguan.pipeline.settings import Settings


def main(words: Words, accept_code: AcceptCode = False, csv: Csv = None, as_json: Json = False) -> None:
    """Plan what to submit today and what to choose at the end.

    The plan names plan.submissions submissions to send today, and two to choose at the end of the contest. `plan record
    NAME SCORE` records the leaderboard's score of a submission, such as 0.9359. Candidates are the submissions that
    `submit` wrote for the contest's test file. In the table, "expected" is the score on the public board, "best yet"
    the probability in percent of beating every recorded score, "at the end" the expected private score, and "agrees
    with" the sent submission with the most similar answer, with the span F1 between both.
    """
    from pathlib import Path

    from daguan.cli.tables.plan import plan_record, print_plan
    from daguan.competition import public_scores as board
    from daguan.competition.forecast import LineCounts
    from daguan.competition.planner import Planner
    from daguan.data.format import count_sentences
    from daguan.pipeline.settings import load

    settings = load(configuration(words, accept_code))
    candidates, contest = submissions(settings)
    lines = LineCounts(*(count_sentences(path) for path in (contest.train, contest.test)))
    recorded = board.read_scores(Path(settings.data.submissions))
    plan = Planner(candidates, lines, settings.plan).plan(recorded)
    write_csv(csv, "named", {one["name"]: one for one in plan_record(plan)["submissions"]})
    if as_json:
        print_json(plan_record(plan))
    else:
        print_plan(plan)


def record(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The submission.")],
    score: Annotated[str, typer.Argument(metavar="SCORE", help="Its score on the leaderboard, such as 0.9359.")],
    words: Words,
    accept_code: AcceptCode = False,
    as_json: Json = False,
) -> None:
    """Record the leaderboard's score of a submission."""
    import datetime
    from pathlib import Path

    from daguan.competition import public_scores as board
    from daguan.core.errors import ConfigError
    from daguan.core.progress import say
    from daguan.pipeline.settings import load

    name, value = name.removesuffix(".txt"), board.parse_score(score)
    settings = load(configuration(words, accept_code))
    known = [candidate.name for candidate in submissions(settings)[0]]
    if name not in known:
        raise ConfigError(f"plan record: expected a submission of {', '.join(known)}, got {name!r}")
    folder = Path(settings.data.submissions)
    before = board.record(folder, name, value, datetime.date.today().isoformat())
    note = "" if before is None else f", in place of {before:g}"
    say(f"plan: {name} scored {value:g}{note} ({folder / board.BOARD})")
    if as_json:
        print_json({"submission": name, "score": value, "before": before})


def submissions(settings: Settings) -> tuple[list[Candidate], Contest]:
    """Return the submissions and the contest. Raises MissingStageError: there is no submission."""
    from pathlib import Path

    from daguan.competition.candidates import read_candidates
    from daguan.core.errors import MissingStageError
    from daguan.data.contest import TEST
    from daguan.pipeline.stages import Stages

    stages, folder = Stages(settings), Path(settings.data.submissions)
    candidates = read_candidates(folder, stages.data_sha256[TEST])
    if not candidates:
        raise MissingStageError(f"{folder}: expected submissions to {stages.contest.test}, got none", "submit")
    return candidates, stages.contest
