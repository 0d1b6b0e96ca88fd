"""The table of stages and the names of members."""

from __future__ import annotations

import re

from daguan.pipeline.settings import RESERVED, ROOT
from daguan.pipeline.stages import STAGES

FOLDER = re.compile(r'run_of\([^"]*?, f?"([a-z]+)')


def test_no_member_can_have_the_name_of_another_run_s_folder() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")]
    assert set(RESERVED) == {*STAGES, *(name for text in texts for name in FOLDER.findall(text))}
