"""Advice that follows from a finished run: which members to leave out, to train longer, or to add."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pandas import DataFrame

from daguan.core.files import read_json
from daguan.core.runs import MANIFEST
from daguan.families.member import MemberSettings
from daguan.models.encoders.table import ENCODERS
from daguan.pipeline import settings

KINDS_OF = "cpu_1h"  # the preset with members of many kinds
CUT = 0.95  # share of the updates that were asked for, below which training was cut short
TAGGER = "tagger"
LONGER, DROP, ADD = "train longer", "drop", "add"


class Advice(NamedTuple):
    """One advice.

    Attributes:
        advice: what to do.
        member: with which member.
        why: what it follows from.
        worth: of the member, as a fraction; None where it is not known.
        minutes: that the member took.
    """

    advice: str
    member: str
    why: str
    worth: float | None = None
    minutes: float | None = None


def advice(
    models: DataFrame, worth: Mapping[str, Any], jobs: DataFrame, left_out: Mapping[str, str], kinds: Iterable[str]
) -> DataFrame:
    """Returns a row for each advice, the member with the most worth a minute first.

    models: of `leaderboard.models`; worth: of `worth.worth`; jobs: of `jobs.jobs`; left_out: by member, why it is not
    in the blend; kinds: of members that this blend does not have.
    """
    members = models[models["name"].isin(jobs["run"])]
    minutes = {row.name: row.seconds / 60 for row in members.itertuples(index=False)}
    dropped = _to_drop(worth, minutes)
    found = [_advice(name, dropped, worth, jobs, its) for name, its in minutes.items()]
    given = sorted((one for one in found if one), key=lambda one: -_rate(one.worth, one.minutes))
    given += [Advice(ADD, member, why) for member, why in left_out.items()]
    given += [Advice(ADD, kind, f"this blend has no member of this kind, as {KINDS_OF} has") for kind in kinds]
    return DataFrame(given, columns=Advice._fields)


def _to_drop(worth: Mapping[str, Any], minutes: Mapping[str, float]) -> dict[str, str]:
    """Returns the members to leave out, each with the reason: those without which the blend is better, or else one, the
    worth of whose minutes is least, if the blend is not shown to be worse without it. Others may count more then."""
    ends = worth["interval"]
    harmful = {name: "the blend is better without it" for name in minutes if name in ends and ends[name][1] <= 0}
    if harmful or not ends:
        return harmful
    least = min(ends, key=lambda name: _rate(worth["without"][name], minutes.get(name)))
    why = "the blend is not shown to be worse without it, and its minutes give least"
    return {least: why} if ends[least][0] <= 0 else {}


def _rate(worth: float | None, minutes: float | None) -> float:
    """Returns the worth of a minute."""
    return (worth or 0.0) / max(1e-9, minutes or 0.0)


def _advice(
    name: str, dropped: Mapping[str, str], worth: Mapping[str, Any], jobs: DataFrame, minutes: float
) -> Advice | None:
    """Returns what to do with a member; None where there is nothing to say."""
    its = worth["without"].get(name)
    if name in dropped:
        return Advice(DROP, name, dropped[name], its, minutes)
    why = _cut(jobs[jobs["run"] == name])
    return Advice(LONGER, name, why, its, minutes) if why else None


def _cut(jobs: DataFrame) -> str:
    """Returns how far the training of a member was cut short; empty if it was not."""
    known = jobs.dropna(subset=["updates", "most_updates"])
    done, asked = known["updates"].sum(), known["most_updates"].sum()
    if not asked or done >= CUT * asked:
        return ""
    return f"its folds did {done:,.0f} of the {asked:,.0f} updates that its settings ask for"


def missing_kinds(folders: Sequence[Path]) -> list[str]:
    """Returns the kinds of members of the preset KINDS_OF that none of these trained runs is."""
    manifests = [read_json(folder / MANIFEST)["depends_on"] for folder in folders]
    ours = {_kind(one["family"], one.get("model", {}).get("encoder", "")) for one in manifests}
    preset = settings.load([KINDS_OF])
    theirs = [_kind_of(preset.member(name)) for name in preset.members]
    return [kind for kind in dict.fromkeys(theirs) if kind not in ours]


def _kind_of(member: MemberSettings) -> str:
    return _kind(member.family, member.model.encoder)


def _kind(family: str, encoder: str) -> str:
    """Returns the kind of a member: its family, and of a tagger how its encoder learns."""
    if family != TAGGER:
        return family
    row = ENCODERS[encoder]
    return encoder if row.objective else f"{family} {'with' if row.pretrained else 'without'} a pretrained encoder"
