"""Advice that follows from a finished run: which members to leave out, to train longer, to change, or to add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pandas import DataFrame

from daguan.core.files import read_json
from daguan.core.quantity import quantity
from daguan.core.runs import MANIFEST
from daguan.families.member import MemberSettings
from daguan.models.encoders.table import ENCODERS
from daguan.pipeline import settings
from daguan.pipeline.budget.estimates import is_baseline, is_pretrained, most_tokens
from daguan.pipeline.stages import Stages

KINDS_OF = "cpu_1h"  # the preset with members of many kinds
CUT = 0.95  # share of what was asked for, or is of use, below which training was short
TAGGER = "tagger"
LONGER, DROP, CHANGE, ADD = "train longer", "drop", "change", "add"


class Advice(NamedTuple):
    """One piece of advice.

    Attributes:
        advice: what to do.
        member: the member to do it with.
        why: the reason.
        worth: the worth of the member, as a fraction; None where it is not known.
        minutes: minutes that the member took.
    """

    advice: str
    member: str
    why: str
    worth: float | None = None
    minutes: float | None = None


class Reasons(NamedTuple):
    """What the settings and runs of a blend say of its members.

    Attributes:
        short: by run, how its training was shorter than is of use.
        changes: by run, what to change.
        left_out: by member, why it is not in the blend.
        kinds: by kind of member that this blend does not have, a member of KINDS_OF of that kind.
    """

    short: Mapping[str, Sequence[str]] = {}
    changes: Mapping[str, str] = {}
    left_out: Mapping[str, str] = {}
    kinds: Mapping[str, str] = {}


def reasons(stages: Stages, left_out: Mapping[str, str]) -> Reasons:
    """Returns the reasons for advice on a finished blend; left_out: by member, why a budget left it out."""
    asked, preset = stages.settings, settings.load([KINDS_OF])
    members = () if asked.blend.runs else asked.members
    ours = {stages.train(member).path.name: member for member in members}
    alike = {_kind_of(preset.member(name)): preset.member(name) for name in reversed(preset.members)}
    tokens = stages.prepare.manifest()["report"]["corpus"]["tokens"]
    short, changes = {}, {}
    for run, member in ours.items():
        made, other = asked.member(member), alike.get(_kind_of(asked.member(member)))
        short[run] = _short(asked, member, tokens)
        if made.family == TAGGER and other and not made.updates and made.train.epochs < other.train.epochs:
            up_to = f"in {KINDS_OF} up to {quantity(other.train.epochs, 'time')}"
            short[run].append(
                f"its folds read their lines {quantity(made.train.epochs, 'time')} (train.epochs), {up_to}"
            )
        if is_baseline(asked, member) and not made.ngram_crf.text_features:
            changes[run] = f"ngram_crf.text_features=true, as in {KINDS_OF}: it then reads the text without labels"
    return Reasons(short, changes, left_out, missing_kinds([run.path for run in stages.members]))


def _short(asked: settings.Settings, member: str, tokens: int) -> list[str]:
    """Returns how little of the text a member's pretraining read; nothing if it read as much as is of use."""
    if not is_pretrained(asked, member):
        return []
    read = asked.member(member).pretrain.tokens / max(1, tokens)
    most = most_tokens(asked, member, tokens) / max(1, tokens)
    text = f"its pretraining read the text {read:.1f} times (pretrain.tokens); up to {most:.0f} are of use"
    return [text] if read < CUT * most else []


def advice(models: DataFrame, worth: Mapping[str, Any], jobs: DataFrame, known: Reasons) -> DataFrame:
    """Returns a row for each piece of advice, the member with the most worth a minute first.

    models: of `leaderboard.models`; worth: of `worth.worth`; jobs: of `jobs.jobs`.
    """
    members = models[models["name"].isin(jobs["run"])]
    minutes = {row.name: row.seconds / 60 for row in members.itertuples(index=False)}
    dropped = _to_drop(worth, minutes)
    found = [one for name, its in minutes.items() for one in _advice(name, dropped, worth, jobs, its, known)]
    given = sorted(found, key=lambda one: -_rate(one.worth, one.minutes))
    given += [Advice(ADD, member, why) for member, why in known.left_out.items()]
    whys = {
        kind: f"no member is of this kind; {name!r} of configs/{KINDS_OF}.yaml is" for kind, name in known.kinds.items()
    }
    given += [Advice(ADD, kind, why) for kind, why in whys.items()]
    return DataFrame(given, columns=Advice._fields)


def _to_drop(worth: Mapping[str, Any], minutes: Mapping[str, float]) -> dict[str, str]:
    """Returns the members to leave out, each with the reason: those without which the blend is better, or else the one
    with the least worth a minute, unless the blend is shown to be worse without it. Only one, as the worth of the
    others changes without it."""
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
    name: str, dropped: Mapping[str, str], worth: Mapping[str, Any], jobs: DataFrame, minutes: float, known: Reasons
) -> Iterator[Advice]:
    """Yields the advice on a member."""
    its = worth["without"].get(name)
    short = "; ".join([*filter(None, [_cut(jobs[jobs["run"] == name])]), *known.short.get(name, [])])
    if name in dropped:
        yield Advice(DROP, name, dropped[name] + (f"; or train it longer: {short}" if short else ""), its, minutes)
        return
    if short:
        yield Advice(LONGER, name, short, its, minutes)
    if name in known.changes:
        yield Advice(CHANGE, name, known.changes[name], its, minutes)


def _cut(jobs: DataFrame) -> str:
    """Returns how far the training of a member was cut short; empty if it was not."""
    known = jobs.dropna(subset=["updates", "most_updates"])
    done, asked = known["updates"].sum(), known["most_updates"].sum()
    if not asked or done >= CUT * asked:
        return ""
    return f"its folds did {done:,.0f} of the {quantity(round(asked), 'update')} that its settings ask for"


def missing_kinds(folders: Sequence[Path]) -> dict[str, str]:
    """Returns the kinds of members of the preset KINDS_OF that none of these runs is, with its first member of each."""
    ours, preset = set(map(kind_of, folders)), settings.load([KINDS_OF])
    theirs = {_kind_of(preset.member(name)): name for name in reversed(preset.members)}
    ordered = dict.fromkeys(_kind_of(preset.member(name)) for name in preset.members)
    return {kind: theirs[kind] for kind in ordered if kind not in ours}


def kind_of(folder: Path) -> str:
    """Returns the kind of member that a trained run is."""
    found = read_json(folder / MANIFEST)["depends_on"]
    return _kind(found["family"], found.get("model", {}).get("encoder", ""))


def _kind_of(member: MemberSettings) -> str:
    return _kind(member.family, member.model.encoder)


def _kind(family: str, encoder: str) -> str:
    """Returns the kind of a member: its family, and of a tagger how its encoder learns."""
    if family != TAGGER:
        return family
    row = ENCODERS[encoder]
    return encoder if row.objective else f"{family} {'with' if row.pretrained else 'without'} a pretrained encoder"
