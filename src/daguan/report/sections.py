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
CONFUSION = "Types: gold in rows, {final} in columns"
KINDS = "As nervaluate counts them under its strict scheme; what it calls incorrect is divided by what differs."
DOUBT = (
    "Ranked by models that had not seen the line: 1 − P(entity) of a gold entity, or the probability of one that gold "
    "does not have. Many are hard lines, and not errors; look before you correct."
)
LENGTHS = (
    "lines {lines:,}, tokens {tokens:,}; length: mean {length[mean]}, median {length[p50]:.0f}, "
    "99 % {length[p99]:.0f}, max {length[max]:,}"
)
OF_KINDS = [Column("track", "of"), *(Column(name, name, count) for name in NAMES)]
OF_CLASSES = [
    Column("by", "by"), Column("class", "class"), Column("track", "of"), Column("f1", "F1", percent),
    Column("precision", "P", percent), Column("recall", "R", percent), Column("hits", "right", count),
    Column("predicted", "found", count), Column("gold", "gold", count),
]  # fmt: skip
OF_CALIBRATION = [
    Column("type", "type"), Column("entities", "entities", count), Column("probability", "probability", percent),
    Column("right", "right", percent), Column("ece", "ECE", percent),
]  # fmt: skip
OF_TYPES = [
    Column("type", "type"), Column("entities", "entities", count), Column("strings", "different strings", count),
    Column("lines", "lines", count), Column("missed", "missed", percent, "share that the blend misses, percent"),
    Column("rare", "rare"),
]  # fmt: skip
OF_SUSPECTS = [
    Column("suspicion", "suspicion", thousandth), Column("where", "line"), Column("type", "type"),
    Column("string", "string"), Column("why", "why"),
    Column("agree", "give it", count, "answers, of members, mean and blend, that give this entity"),
]  # fmt: skip
OF_AMBIGUOUS_STRINGS = [
    Column("string", "string"), Column("labels", "labelled"), Column("types", "types", count),
    Column("outside", "outside", count, "places where it is no part of an entity"),
    Column("minority", "minority", count, "places that are not labelled as most are"),
]  # fmt: skip


def errors_section(findings: Findings, scores: dict[str, Any]) -> dict[str, Any]:
    """Returns F1 by class, kinds of errors, confusion of types, and calibration, with their plots."""
    final, by_class = scores["final"], findings.table("by_property")
    by_class["hint"] = [
        f"{row.track}, {row['class']}: F1 {percent(row.f1)}, {row.hits} right of {row.predicted} found, {row.gold} gold"
        for _, row in by_class.iterrows()
    ]
    confusion = findings.table("confusion")
    shares = confusion.div(confusion.sum(axis=1).where(lambda sums: sums > 0, 1), axis=0)
    named = by_class.assign(by=by_class["by"].map(TITLES))
    return {
        "id": "errors",
        "title": "Errors",
        "text": "Out of fold. A predicted entity counts in its own class, a gold one in its own.",
        "parts": [
            {"plots": [*_f1_plots(by_class, _plotted_tracks(findings, scores)), _reliability_plot(scores)]},
            table("Kinds of errors", findings.table("by_kind"), OF_KINDS, KINDS, final),
            matrix(CONFUSION.format(final=final), confusion, count, "gold", f"{NOTHING}: no entity.", shares),
            table("F1 by class", named, OF_CLASSES),
            table(f"Calibration of {final}", _calibration_by_type(scores), OF_CALIBRATION, "In percent."),
        ],
    }


def _plotted_tracks(findings: Findings, scores: dict[str, Any]) -> list[str]:
    """Returns the blend and the best members."""
    final = scores["final"]
    members = [row for row in findings.table("disagreement").index if row not in (final, "mean")]
    f1s = {name: scores["out_of_fold"][name]["span"]["f1"] for name in members}
    return [final, *sorted(members, key=lambda name: -f1s[name])[: MOST_PLOTTED - 1]]


def _f1_plots(by_class: DataFrame, tracks: list[str]) -> list[tuple[str, str]]:
    """Returns the titles and plots of F1 by each property of an entity."""
    drawn = []
    for way in PLOTTED:
        rows = by_class[(by_class["by"] == way) & by_class["track"].isin(tracks)]
        rows = rows.assign(f1=lambda found: 100 * found["f1"].astype(float))
        order = [*dict.fromkeys(rows["class"])]
        drawn.append((f"by {TITLES[way]}", plots.svg(plots.scores(rows, "", order, tracks))))
    return drawn


def _reliability_plot(scores: dict[str, Any]) -> tuple[str, str]:
    """Returns the title and the plot of how often the blend's entities are right, by their probability."""
    final = scores["final"]
    calibration = frames.calibration(scores["calibration"][final])
    total = calibration[calibration["type"] == ""].assign(
        hint=lambda found: [
            f"{quantity(row.entities, 'entity')} with mean probability {row.probability:.3f}: "
            f"{100 * row.right:.1f} % are right"
            for row in found.itertuples()
        ]
    )
    ece = percent(scores["calibration"][final]["total"]["ece"])
    return f"reliability of {final}, ECE {ece} %", plots.svg(plots.reliability(total, ""))


def _calibration_by_type(scores: dict[str, Any]) -> DataFrame:
    calibration = scores["calibration"][scores["final"]]
    named = {"all": calibration["total"], **calibration["by_type"]}
    shown = ("entities", "probability", "right", "ece")
    return DataFrame([{"type": name, **{key: one[key] for key in shown}} for name, one in named.items()])


def data_section(stages: Stages, findings: Findings, scores: dict[str, Any], train_file: str) -> dict[str, Any]:
    """Returns sizes, shift, rare types, suspected label errors and strings labelled in several ways."""
    parts: list[Any] = [{"title": "Sizes", "facts": _sizes(stages.prepare.manifest()["report"])}]
    if moved := findings.shift:
        parts.append({"words": _shift(moved, scores)})
    types = findings.table("types")
    types["rare"] = types["rare"].map({True: "rare", False: ""})
    suspects = findings.table("label_errors")
    suspects["where"] = [f"{train_file} {line + 1}" for line in suspects["line"].astype(int)]
    parts += [
        table("Types", types, OF_TYPES),
        table("Suspected label errors", suspects, OF_SUSPECTS, DOUBT, place="where"),
        table("Strings labelled in several ways", findings.table("ambiguous_strings"), OF_AMBIGUOUS_STRINGS),
    ]
    return {"id": "data", "title": "Data", "text": "", "parts": parts}


def _sizes(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Returns the names and texts of facts on the data, from what `prepare` reports."""
    train, test, corpus, entities = (report[name] for name in ("train", "test", "corpus", "entities"))
    different = f"{corpus['distinct_lines']:,} of them different"
    return [
        (TRAIN, f"{LENGTHS.format(**train)}; {quantity(train['token_types'], 'different token')}"),
        (TEST, f"{LENGTHS.format(**test)}; not in train: {quantity(test['unseen_tokens'], 'token')}"),
        ("all text", f"lines {corpus['lines']:,}, {different}; tokens {corpus['tokens']:,}"),
        ("entities", f"{entities['count']:,}; none in {quantity(entities['lines_without'], 'line')}"),
        ("repeated training lines", f"{report['duplicate_train_lines']:,}"),
        ("texts with conflicting labels", f"{report['texts_with_conflicting_labels']:,} (daguan conflicts lists them)"),
        ("test lines found in train", f"{report['test_lines_found_in_train']:,}"),
    ]


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
