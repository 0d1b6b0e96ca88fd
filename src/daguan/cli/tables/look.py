"""A line and a string of a report as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daguan.cli.tables.text import print_table
from daguan.core.quantity import quantity


def print_line(found: Mapping[str, Any]) -> None:
    """Print a line: its text, the entities of every track, and the tokens of which some member is unsure."""
    fold = "" if found["fold"] is None else f", held out by fold {found['fold']}"
    print(f"{found['line']}{fold}: {quantity(len(found['tokens']), 'token')}\n{'_'.join(found['tokens'])}\n")
    rows = [
        ("_".join(found["tokens"][one["start"] : one["stop"]]), track, f"{one['start']}–{one['stop']}", one["label"],
         f"{one['probability']:.2f}", one["error"])
        for track, entities in found["tracks"].items()
        for one in entities
    ]  # fmt: skip
    print_table(
        ("entity", "by", "place", "type", "p", "error"), sorted(rows, key=lambda row: int(row[2].split("–")[0]))
    )
    unsure = [
        (f"{place} {found['tokens'][place]}", track, ", ".join(f"{tag} {p:.2f}" for tag, p in tags.items()))
        for place, tracks in found["unsure"].items()
        for track, tags in tracks.items()
    ]
    if unsure:
        print_table(("unsure token", "by", "best tags"), unsure)


def print_string(found: Mapping[str, Any]) -> None:
    """Print a string: how often it occurs, as what, beside what, and its places."""
    counts = [f"{found[part]:,} in {part}" for part in ("train", "test", "corpus") if part in found]
    rank = [f"rank {found['rank']:,} by frequency"] if "rank" in found else []
    print(f"{found['string']}: {', '.join([*counts, *rank])}")
    for title, name in (("gold labels", "labels"), ("left", "left"), ("right", "right"), ("similar", "near")):
        if found.get(name):
            print(f"{title}: " + ", ".join(f"{key or 'end of the line'} {value}" for key, value in found[name].items()))
    print()
    rows = [
        (one["line"], "_".join(one["before"]) + " [ ] " + "_".join(one["after"]), one["gold"], one["answer"])
        for one in found["places"]
    ]
    print_table(("line", "around it", "gold", "answer"), rows)
