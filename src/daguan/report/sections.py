"""The sections of a page on errors and data."""

from __future__ import annotations

from typing import Any

from pandas import DataFrame

from daguan.api import frames
from daguan.core.quantity import quantity
from daguan.data.contest import TEST, TRAIN
from daguan.pipeline.stages import Stages
from daguan.report import plots
from daguan.report.errors import NOTHING
from daguan.report.findings import Findings
from daguan.report.kinds import NAMES
from daguan.report.tables import Column, count, matrix, percent, table, thousandth

TITLES = {"type": "type", "length": "tokens", "frequency": "times in the other folds", "seen": "string", "fold": "fold"}
PLOTTED = ("type", "length", "frequency", "fold")
MOST_PLOTTED = 3  # tracks in a plot of F1


def errors_section(findings: Findings, scores: dict[str, Any]) -> dict[str, Any]:
    """Returns F1 by class, kinds of errors, confusion of types, and calibration, with their plots."""
    final, by = scores["final"], findings.table("by_property")
    by["hint"] = [
        f"{row.track}, {row['class']}: F1 {percent(row.f1)}, {row.hits} right of {row.predicted} found, {row.gold} gold"
        for _, row in by.iterrows()
    ]
    best = [row for row in findings.table("disagreement").index if row not in (final, "mean")]
    f1s = {name: scores["out_of_fold"][name]["span"]["f1"] for name in best}
    tracks = [final, *sorted(best, key=lambda name: -f1s[name])[: MOST_PLOTTED - 1]]
    drawn = []
    for way in PLOTTED:
        rows = by[(by["by"] == way) & by["track"].isin(tracks)].assign(f1=lambda found: 100 * found["f1"].astype(float))
        order = [*dict.fromkeys(rows["class"])]
        drawn.append((f"by {TITLES[way]}", plots.svg(plots.scores(rows, "", order, tracks))))
    calibration = frames.calibration(scores["calibration"][final])
    total = calibration[calibration["type"] == ""].assign(
        hint=lambda found: [
            f"{quantity(row.entities, 'entity')} with mean probability {row.probability:.3f}: "
            f"{100 * row.right:.1f} % are right"
            for row in found.itertuples()
        ]
    )
    ece = percent(scores["calibration"][final]["total"]["ece"])
    drawn.append((f"reliability of {final}, ECE {ece} %", plots.svg(plots.reliability(total, ""))))
    columns = [Column("track", "of", None), *(Column(name, name, count) for name in NAMES)]
    classes = [
        Column("by", "by"), Column("class", "class"), Column("track", "of"), Column("f1", "F1", percent),
        Column("precision", "P", percent), Column("recall", "R", percent), Column("hits", "right", count),
        Column("predicted", "found", count), Column("gold", "gold", count),
    ]  # fmt: skip
    confusion = findings.table("confusion")
    shares = confusion.div(confusion.sum(axis=1).where(lambda sums: sums > 0, 1), axis=0)
    kinds = "As nervaluate counts them under its strict scheme; what it calls incorrect is divided by what differs."
    eces = DataFrame(
        [
            {"type": name or "all", **{key: one[key] for key in ("entities", "probability", "right", "ece")}}
            for name, one in {
                "": scores["calibration"][final]["total"],
                **scores["calibration"][final]["by_type"],
            }.items()
        ]
    )
    reliable = [
        Column("type", "type"), Column("entities", "entities", count), Column("probability", "probability", percent),
        Column("right", "right", percent), Column("ece", "ECE", percent),
    ]  # fmt: skip
    return {
        "id": "errors",
        "title": "Errors",
        "text": "Out of fold. A predicted entity counts in its own class, a gold one in its own.",
        "parts": [
            {"plots": drawn},
            table("Kinds of errors", findings.table("by_kind"), columns, kinds, final),
            matrix(
                f"Types: gold in rows, {final} in columns", confusion, count, "gold", f"{NOTHING}: no entity.", shares
            ),
            table("F1 by class", by.assign(by=by["by"].map(TITLES)), classes),
            table(f"Calibration of {final}", eces, reliable, "In percent."),
        ],
    }


def data_section(stages: Stages, findings: Findings, scores: dict[str, Any], train_file: str) -> dict[str, Any]:
    """Returns sizes, shift, rare types, suspected label errors and strings labelled in several ways."""
    report = stages.prepare.manifest()["report"]
    length = (
        "lines {lines:,}, tokens {tokens:,}; length: mean {length[mean]}, median {length[p50]:.0f}, "
        "99 % {length[p99]:.0f}, max {length[max]:,}"
    )
    train, test, corpus, entities = (report[name] for name in ("train", "test", "corpus", "entities"))
    facts = [
        (TRAIN, length.format(**train) + f"; {quantity(train['token_types'], 'different token')}"),
        (TEST, length.format(**test) + f"; not in train: {quantity(test['unseen_tokens'], 'token')}"),
        (
            "all text",
            f"lines {corpus['lines']:,}, {corpus['distinct_lines']:,} of them different; tokens {corpus['tokens']:,}",
        ),
        ("entities", f"{entities['count']:,}; none in {quantity(entities['lines_without'], 'line')}"),
        ("repeated training lines", f"{report['duplicate_train_lines']:,}"),
        ("texts with conflicting labels", f"{report['texts_with_conflicting_labels']:,} (daguan conflicts lists them)"),
        ("test lines found in train", f"{report['test_lines_found_in_train']:,}"),
    ]
    parts: list[Any] = [{"title": "Sizes", "facts": facts}]
    if moved := findings.shift:
        parts.append({"words": _shift(moved, scores)})
    types = [
        Column("type", "type"), Column("entities", "entities", count), Column("strings", "different strings", count),
        Column("lines", "lines", count), Column("missed", "missed", percent, "share that the blend misses, percent"),
        Column("rare", "rare"),
    ]  # fmt: skip
    rare = findings.table("types")
    rare["rare"] = rare["rare"].map({True: "rare", False: ""})
    suspects = findings.table("label_errors")
    suspects["where"] = [f"{train_file} {line + 1}" for line in suspects["line"].astype(int)]
    doubts = [
        Column("suspicion", "suspicion", thousandth), Column("where", "line"), Column("type", "type"),
        Column("string", "string"), Column("why", "why"),
        Column("agree", "give it", count, "answers, of members, mean and blend, that give this entity"),
    ]  # fmt: skip
    several = [
        Column("string", "string"), Column("labels", "labelled"), Column("types", "types", count),
        Column("outside", "outside", count, "places where it is no part of an entity"),
        Column("minority", "minority", count, "places that are not labelled as most are"),
    ]  # fmt: skip
    doubt = (
        "Ranked by models that had not seen the line: 1 − P(entity) of a gold entity, or the probability of one that "
        "gold does not have. Many are hard lines, and not errors; look before you correct."
    )
    parts += [
        table("Types", rare, types),
        table("Suspected label errors", suspects, doubts, doubt, place="where"),
        table("Strings labelled in several ways", findings.table("ambiguous_strings"), several),
    ]
    return {"id": "data", "title": "Data", "text": "", "parts": parts}


def _shift(moved: dict[str, float], scores: dict[str, Any]) -> str:
    drop = moved["f1"] - moved["expected"]
    measured = ""
    if "test" in scores:
        measured = f" It is {percent(scores['test'][scores['final']]['span']['f1'])} on the test lines' gold labels."
    apart = "cannot tell" if moved["auc"] < 0.55 else "can partly tell" if moved["auc"] < 0.75 else "can tell"
    return (
        f"A classifier {apart} training from test lines (area under its ROC curve {moved['auc']:.3f}; "
        "0.5 is chance). With the training lines weighted to resemble the test lines, the out-of-fold span F1 of "
        f"{percent(moved['f1'])} becomes {percent(moved['expected'])}: expect {'a drop' if drop >= 0 else 'a gain'} of "
        f"{abs(100 * drop):.2f} points on test. "
        f"The weighted lines say as much as {quantity(round(moved['effective']), 'equal line')}.{measured}"
    )
