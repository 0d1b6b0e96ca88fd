"""The settings that a command reads, for its help: derived from the stages and the declarations of settings."""

from __future__ import annotations

import re
from collections.abc import Collection

from daguan.core.settings import is_section
from daguan.core.tables import Row
from daguan.families.family import family_of
from daguan.families.table import FAMILIES
from daguan.pipeline.stages import STAGES


def settings_help(kind: Row, stage: str, others: Collection[str]) -> list[tuple[str, str]]:
    """Return each section or setting that a command reads, with the first sentence of its help.

    From a kind of settings these are the sections that the stage or one before it reads, the sections `others`, and all
    settings outside of sections.
    """
    read = {*sections_read(stage), *others}
    rows = []
    for name, field in kind.load().model_fields.items():
        if not is_section(field.annotation):
            rows.append((name, first_sentence(field.description or "")))
        elif name in read:
            rows.append((name, first_sentence(field.annotation.__doc__ or "")))
    return rows


def sections_read(stage: str) -> set[str]:
    """Return the sections of settings that a stage reads, or one before it; none without a stage."""
    names = list(STAGES)
    rows = names[: names.index(stage) + 1] if stage else []
    members = {section for family in FAMILIES for section in family_of(family).reads} if "member" in rows else set()
    return members.union(*(STAGES[name].reads for name in rows))


def first_sentence(text: str) -> str:
    return re.split(r"(?<! al)\. (?=[A-Z])", " ".join(text.split()))[0].rstrip(".") + "."
