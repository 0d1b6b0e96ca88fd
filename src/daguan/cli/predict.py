"""predict MODEL INPUT OUTPUT [engine.key=value …]: label a new file with what was trained; no training data needed.

MODEL is the blend folder that run_all.sh names (all its models, blended as they were), a member's folder, that of
`distil`, or one model's.
"""

from __future__ import annotations

from pathlib import Path

from daguan.core import settings
from daguan.core.errors import ConfigError, DataError
from daguan.core.progress import say
from daguan.core.runs import Stopwatch
from daguan.core.settings import Section, section
from daguan.data.format import read_unlabelled, write_lines
from daguan.ensemble.labelling import load_members
from daguan.pipeline.work.predict import find_models, predict
from daguan.training.devices import prepare_process, share_cores
from daguan.training.engine_settings import EngineSettings


class PredictSettings(Section):
    """The settings of `predict`."""

    engine: EngineSettings = section(EngineSettings)


def main(words: list[str]) -> None:
    if len(words) < 3:
        raise ConfigError("predict: expected MODEL INPUT OUTPUT [engine.key=value …]")
    folder, source, target = map(Path, words[:3])
    engine = settings.load(PredictSettings, None, words[3:]).engine
    if target.is_dir() or not target.absolute().parent.is_dir():
        raise DataError(f"{target}: expected the path of a file in an existing folder")
    prepare_process(share_cores(engine, 1)[1])
    paths, combination = find_models(folder)
    members = load_members(paths, engine)
    sentences = read_unlabelled(source)
    watch = Stopwatch()
    write_lines(target, predict(members, combination, sentences))
    tokens = sum(len(sentence.tokens) for sentence in sentences)
    say(
        f"predict: {target}: {len(sentences):,} lines by {sum(map(len, members))} models, "
        f"{len(sentences) / watch.seconds:,.0f} lines/s, {tokens / watch.seconds:,.0f} tokens/s"
    )
