"""Scores as tables for a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daguan.cli.tables.text import print_table


def print_final(found: dict[str, Any], families: dict[str, str]) -> None:
    """Print the final table of a configuration: every member's scores, the submission, and where it is no better."""
    print_scores("out of fold", found["out_of_fold"])
    final = found["final"]
    line = f"out-of-fold span F1 {100 * found['out_of_fold'][final]['span']['f1']:.2f}"
    if "test" in found:
        print_scores("test", found["test"])
        scores = found["test"][final]
        print_types(scores)
        line += "".join(f", test {metric} F1 {100 * scores[metric]['f1']:.2f}" for metric in scores["by_type"])
    written = "" if Path(found["submission"]).is_file() else " (not written yet: run submit)"
    print(f"model: {found['model']}\nsubmission: {found['submission']}{written}\nscores: {line}")
    for warning in no_better(found["out_of_fold"], final, families):
        print(f"warning: {warning}")


def print_blend(found: dict[str, Any], families: dict[str, str]) -> None:
    """Print the out-of-fold scores and gains of a finished blend."""
    from daguan.core.progress import say

    print_scores("out of fold", found["out_of_fold"])
    print_gains(found["gains"])
    for line in no_better(found["out_of_fold"], found["final"], families):
        say(f"blend: {line}")


def print_scores(title: str, scores: dict[str, dict[str, Any]]) -> None:
    """Print P, R and F1 of each member by every metric, in percent, with the 95 % bootstrap interval of F1."""
    rows = [_row(name, metric, found) for name, found in scores.items() for metric in found if metric != "by_type"]
    print_table((title, "metric", "P", "R", "F1", "95 % interval"), rows)


def print_gains(gains: dict[str, dict[str, Any]]) -> None:
    """Print the blend's gain over each member in points of out-of-fold span F1, with its 95 % paired bootstrap interval
    and the p-value of the hypothesis that there is none."""
    rows = [
        (name, f"{100 * gain['f1']:+.2f}", "{:+.2f} to {:+.2f}".format(*(100 * end for end in gain["interval"])),
         f"{gain['p']:.4f}")
        for name, gain in gains.items()
    ]  # fmt: skip
    if rows:
        print_table(("the blend's gain over", "span F1", "95 % interval", "p"), rows)


def no_better(scores: dict[str, dict[str, Any]], final: str, families: dict[str, str]) -> list[str]:
    """Return a warning for the best member and for each n-gram CRF that the final answer does not beat out of fold;
    `families` are those of the members."""
    from daguan.families.family import family_of

    f1 = {name: found["span"]["f1"] for name, found in scores.items()}
    others = {name: family for name, family in families.items() if name != final}
    best = max(others, key=lambda name: f1[name], default=final)
    watched = {
        best: "its best member",
        **{name: "the n-gram CRF" for name in others if family_of(others[name]).is_baseline},
    }
    return [
        f"no better than {name}, {what}, out of fold: span F1 {100 * f1[final]:.2f} against {100 * f1[name]:.2f}"
        for name, what in watched.items()
        if name != final and f1[final] <= f1[name]
    ]


def print_types(scores: dict[str, Any]) -> None:
    """Print one row for each metric and entity type."""
    rows = [
        (label, metric, *_ratios(found), f"{found['hits']:,} of {found['gold']:,}")
        for metric, by_type in scores["by_type"].items()
        for label, found in by_type.items()
    ]
    print_table(("type", "metric", "P", "R", "F1", "found"), rows)


def _row(name: str, metric: str, scores: dict[str, Any]) -> tuple[str, ...]:
    low, high = scores[metric]["interval"]
    return (name, metric, *_ratios(scores[metric]), f"{100 * low:.2f}–{100 * high:.2f}")


def _ratios(score: dict[str, Any]) -> tuple[str, str, str]:
    return (f"{100 * score['p']:.2f}", f"{100 * score['r']:.2f}", f"{100 * score['f1']:.2f}")
