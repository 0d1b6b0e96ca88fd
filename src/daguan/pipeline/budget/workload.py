"""The work of a configuration, in the terms of a budget."""

from __future__ import annotations

from daguan.core.files import sha256_of_json
from daguan.core.settings import to_dict
from daguan.families.family import family_of
from daguan.families.member import MemberSettings
from daguan.models.encoders.table import ENCODERS
from daguan.pipeline.budget.costs import MemberWork, Pretraining, Work
from daguan.pipeline.settings import Settings
from daguan.training.devices import share_cores


def work_of(settings: Settings) -> Work:
    members = {name: settings.member(name) for name in settings.members}
    return Work(
        folds=settings.folds.count,
        lines=settings.folds.lines,
        workers=share_cores(settings.engine, len(members) * settings.folds.count)[0],
        members=tuple(_member(name, member) for name, member in members.items()),
        pretrainings=tuple(
            Pretraining(name, member.pretrain.tokens, member.pretrain.tokens == settings.pretrain.tokens)
            for name, member in starts(settings).items()
            if is_pretrained(member)
        ),
        vectors=tuple(
            (name, member.vectors.tokens, member.vectors.epochs)
            for name, member in starts(settings).items()
            if not is_pretrained(member)
        ),
    )


def _member(name: str, settings: MemberSettings) -> MemberWork:
    return MemberWork(name, family_of(settings.family).cost(settings), settings.augmentation.shares)


def safest_first(settings: Settings) -> Settings:
    """Returns the settings with members in the order in which a budget trains them.

    n-gram CRFs come first, as they never diverge, need no encoder and are cheap, so that there is soon something to
    submit.
    """
    order = sorted(settings.members, key=lambda name: not family_of(settings.member(name).family).is_baseline)
    return settings.replace(members=tuple(order))


def starts(settings: Settings) -> dict[str, MemberSettings]:
    """Returns what members start from, once even if several share it: by name, a member's settings."""
    found: dict[str, MemberSettings] = {}
    for member in map(settings.member, settings.members):
        if name := start_of(member):
            found.setdefault(name, member)
    return found


def start_of(member: MemberSettings) -> str:
    """Returns a name of what the member starts from, the same for any number of tokens; empty if it is not made."""
    if not family_of(member.family).starts_from_pretraining(member) or member.vectors.folder:
        return ""
    everything = to_dict(member)
    learnt = {key: everything[key] for key in ("seed", "encoder", "pretrain", "vectors")}
    amounts = {"pretrain": everything["pretrain"] | {"tokens": 0}}
    amounts["vectors"] = everything["vectors"] | {"tokens": 0, "epochs": 0}
    return f"{member.model.encoder}-{sha256_of_json(learnt | amounts)[:6]}"


def is_pretrained(settings: MemberSettings) -> bool:
    return ENCODERS[settings.model.encoder].pretrained
