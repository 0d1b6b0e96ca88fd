"""Plans and rehearsals as tables for a terminal."""

from __future__ import annotations

from typing import Any

from daguan.cli.tables.text import print_table
from daguan.competition.candidates import Z
from daguan.competition.planner import FEWEST, Outlook, Plan
from daguan.core.quantity import quantity

FIGURES = ("out of fold", "recorded", "expected", "95 % interval", "best yet", "at the end")
HEADER = ("submission", "", *FIGURES, "agrees with")


def print_plan(plan: Plan) -> None:
    """Print one row for each submission, the best expected one first, then what to do; all figures are in percent."""
    ordered = sorted(plan.outlooks, key=lambda outlook: -outlook.private)
    print_table(HEADER, [_row(outlook, plan) for outlook in ordered])
    sent = [outlook for outlook in plan.outlooks if outlook.recorded is not None]
    print(f"recorded: {_board(sent, plan)}")
    print(f"send: {', '.join(plan.send) or 'nothing, every answer was sent'}")
    print(f"choose at the end: {' and '.join(plan.choose) or 'one of the sent submissions; none was sent yet'}")


def plan_record(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON; scores are fractions."""
    submissions = [
        {"name": one.candidate.name, "out_of_fold": one.candidate.out_of_fold}
        | {name: value for name, value in vars(one).items() if name != "candidate"}
        for one in plan.outlooks
    ]
    return {"submissions": submissions, "send": plan.send, "choose": plan.choose, "correlation": plan.correlation}


def _row(outlook: Outlook, plan: Plan) -> tuple[str, ...]:
    candidate = outlook.candidate
    known = outlook.recorded is not None
    own = f"{_percent(candidate.out_of_fold)} ±{100 * Z * candidate.sd:.2f}"
    interval = "–".join(map(_percent, outlook.interval))
    return (
        candidate.name,
        "sent" if known else "send" if candidate.name in plan.send else "",
        own,
        _percent(outlook.recorded) if outlook.recorded is not None else "",
        "" if known else _percent(outlook.public),
        "" if known else interval,
        "" if outlook.improvement is None else f"{100 * outlook.improvement:.0f}",
        _percent(outlook.private),
        "" if outlook.nearest is None else f"{outlook.nearest[0]} {_percent(outlook.nearest[1])}",
    )


def _board(sent: list[Outlook], plan: Plan) -> str:
    if not sent:
        return "nothing yet; `plan record NAME SCORE` records a score of the leaderboard"
    shift = sum((outlook.recorded or 0.0) - outlook.candidate.out_of_fold for outlook in sent) / len(sent)
    text = f"{quantity(len(sent), 'score')}, on average {100 * shift:+.2f} from out of fold; correlation "
    if plan.correlation is None:
        return text + f"unknown (it takes {FEWEST} scores that differ)"
    return text + "Pearson {:.2f}, Spearman {:.2f}".format(*plan.correlation)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def print_rehearsal(outcome: dict[str, Any]) -> None:
    """Print the candidates, when each was sent, and what each way of choosing scored; all figures are in percent."""
    day_of = {name: str(day) for day, names in enumerate(outcome["days"], start=1) for name in names}
    candidates = outcome["candidates"].items()
    scores = ("out_of_fold", "public", "private")
    rows = [(name, day_of.get(name, ""), *(_percent(found[key]) for key in scores)) for name, found in candidates]
    print_table(("candidate", "day sent", "out of fold", "public", "private"), rows)
    header = ("chosen by", "pair", "first", "better", f"mean of {outcome['deals']}: first", "better", "short of best")
    means = ("mean_first", "mean_better", "mean_short")
    rows = [
        (way, " + ".join(found["chosen"]), *map(_percent, found["private"]), *(_percent(found[key]) for key in means))
        for way, found in outcome["ways"].items()
    ]
    print_table(header, rows)


def print_advice(steps: list[dict[str, Any]]) -> None:
    """Print what each step gave on the hidden lines, the advised ones first, and how often advice was right; gains are
    in points of span F1."""
    rows = [
        (
            one["configuration"],
            one["do"],
            one["member"],
            "advised" if one["advised"] else "",
            _points(one["gain"]),
            " to ".join(map(_points, one["interval"])),
            "" if one["random"] is None else _points(one["random"]),
            "" if one["better"] is None else f"{100 * one['better']:.0f}",
        )
        for one in sorted(steps, key=lambda one: not one["advised"])
    ]
    header = ("configuration", "step", "member", "", "gain", "95 % interval", "at random", "better in %")
    print_table(header, rows)
    print(f"advice: {_advice(steps)}")


def _advice(steps: list[dict[str, Any]]) -> str:
    """Returns how often advised steps gained on the hidden lines, and how often more than a step at random."""
    advised = [one for one in steps if one["advised"]]
    compared = [one for one in advised if one["random"] is not None]
    if not advised:
        return "none of these steps is advised"
    mean, gained = sum(one["gain"] for one in advised) / len(advised), sum(one["gain"] > 0 for one in advised)
    text = f"{gained} of {quantity(len(advised), 'advised step')} gained, {_points(mean)} on average"
    if not compared:
        return text + "; there was no other step of their kinds"
    drawn, ours = (sum(one[name] for one in compared) / len(compared) for name in ("random", "gain"))
    better = sum(one["gain"] > one["random"] for one in compared)
    return text + (
        f"; {better} of {len(compared)} gained more than a step of the same kind at random ({_points(ours)} and "
        f"{_points(drawn)} on average)"
    )


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.2f}"
