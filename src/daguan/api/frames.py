"""Results as tables of pandas, which only this module imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pandas import DataFrame, json_normalize

from daguan.api.lines import Tokens
from daguan.core.files import read_json
from daguan.core.runs import MANIFEST
from daguan.core.types import Span
from daguan.pipeline.ledger import Entry
from daguan.pipeline.tuning.trials import Trial

if TYPE_CHECKING:
    from daguan.pipeline.estimate import Estimate

LEADERBOARD = (
    "name", "family", "precision", "recall", "f1", "f1_low", "f1_high", "contest_f1", "calibration_error", "seconds",
)  # fmt: skip
ENTITIES = ("line", "start", "stop", "label", "probability", "text")


def entities(lines: Sequence[Tokens], spans: Sequence[Sequence[Span]]) -> DataFrame:
    """Returns a row for each entity of the lines."""
    rows = [
        (line, span.start, span.stop, span.label, span.probability, "_".join(lines[line][span.start : span.stop]))
        for line, found in enumerate(spans)
        for span in found
    ]
    return DataFrame(rows, columns=ENTITIES)


def runs(entries: Sequence[Entry]) -> DataFrame:
    """Returns a row for each trained run."""
    return DataFrame([entry.to_json() for entry in entries], columns=[*Entry.__dataclass_fields__])


def estimate(found: Estimate) -> DataFrame:
    """Returns a row for each stage of an estimate: seconds, and bytes of memory and disk."""
    return DataFrame([asdict(stage) for stage in found.stages])


def named(rows: Mapping[str, Mapping[str, Any]]) -> DataFrame:
    """Returns a row for each name; figures within figures have names such as `test.f1`."""
    return json_normalize([{"name": name, **row} for name, row in rows.items()])


def scores(found: Mapping[str, Any]) -> DataFrame:
    """Returns a row for each metric and type of what `daguan.score` returns; the type of all entities is empty."""
    rows = [{"metric": metric, "type": "", **found[metric]} for metric in found["by_type"]]
    rows += [
        {"metric": metric, "type": label, **score}
        for metric, by_type in found["by_type"].items()
        for label, score in by_type.items()
    ]
    table = DataFrame(rows).rename(columns={"p": "precision", "r": "recall"})
    ends = [row.get("interval", (None, None)) for row in rows]
    table["f1_low"], table["f1_high"] = zip(*ends, strict=True)
    return table.drop(columns="interval")


def trials(found: Sequence[Trial]) -> DataFrame:
    """Returns a row for each trial; its settings are columns."""
    rows = [
        {
            "trial": trial.index,
            "state": trial.state,
            "f1": trial.outcome.f1 if trial.outcome else None,
            "seconds": trial.outcome.seconds if trial.outcome else None,
            "reason": trial.reason,
            **trial.parameters,
        }
        for trial in found
    ]
    return DataFrame(rows)


def calibration(found: Mapping[str, Any]) -> DataFrame:
    """Returns a row for each type and bin of a reliability plot; the type of all entities together is empty."""
    parts = {"": found["total"], **found["by_type"]}
    return DataFrame(
        [{"type": label, **one} for label, part in parts.items() for one in part["bins"]],
        columns=("type", "low", "high", "entities", "probability", "right"),
    )


def leaderboard(folder: Path, manifest: Mapping[str, Any]) -> DataFrame:
    """Returns a row for each member of a blend and for the blend, or for a member alone, best first.

    folder: of the run, beside which are those of a blend's members; manifest: of the run.
    """
    if "final" in manifest:
        rows = [_blended(folder, name, manifest) for name in manifest["out_of_fold"]]
    else:
        rows = [{"name": folder.name, "f1": manifest["out_of_fold"], **_trained(manifest)}]
    found = DataFrame(rows).sort_values("f1", ascending=False, kind="stable", ignore_index=True)
    return found[[name for name in LEADERBOARD if name in found] + [name for name in found if name not in LEADERBOARD]]


def _blended(folder: Path, name: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the row of a member, of the members' mean or of the blend."""
    scores, path = manifest["out_of_fold"][name], folder.parent / name / MANIFEST
    span, (low, high) = scores["span"], scores["span"]["interval"]
    figures = {"name": name, "precision": span["p"], "recall": span["r"], "f1": span["f1"]}
    figures |= {"f1_low": low, "f1_high": high, "contest_f1": scores["contest"]["f1"]}
    figures["calibration_error"] = manifest["calibration"][name]["total"]["ece"]
    if path.is_file():
        return figures | _trained(read_json(path))
    return figures | ({"seconds": manifest["seconds"]} if name == manifest["final"] else {})


def _trained(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a member's own manifest says."""
    folds = {f"f1_fold{number}": fold["f1"] for number, fold in enumerate(manifest["folds"])}
    return {"family": manifest["depends_on"]["family"], "seconds": manifest["seconds"], **folds}
