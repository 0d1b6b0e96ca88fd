"""pretrain [CONFIG] [key=value …]: an encoder on all the text, from scratch."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path

from daguan.batches.packing import Blocks, token_file
from daguan.commands.settings import Settings, load
from daguan.commands.stages import Stages, once
from daguan.core.files import write_json
from daguan.core.progress import Bar, Progress, say
from daguan.core.runs import Run
from daguan.text.vocabulary import Vocabulary
from daguan.training.devices import prepare_process
from daguan.training.pretraining import CHECKPOINT, Pretrainer


def main(words: list[str]) -> None:
    settings = load(words)
    stages = Stages(settings)
    stages.prepare.manifest()
    runs = {run.key: (run, member) for member in settings.members if (run := stages.pretrain(member))}
    if not runs:
        say("pretrain: no member starts from a pretrained encoder, nothing to do")
    for run, member in runs.values():
        once(run, partial(pretrain, prepared=stages.prepare.path, settings=settings.member(member)))


def pretrain(run: Run, prepared: Path, settings: Settings) -> None:
    """Write the model in Hugging Face layout with its vocabulary and the curve of its loss."""
    prepare_process(settings.engine.plan(1)[1])
    vocabulary = Vocabulary.load(prepared)
    blocks = Blocks(token_file(prepared, len(vocabulary)), settings.encoder.max_length)
    trainer = Pretrainer(
        settings.model.encoder, settings.encoder, settings.pretrain, settings.engine, blocks, len(vocabulary),
        settings.seed,
    )  # fmt: skip
    bar = Bar("pretrain")
    for update in trainer.fit(run.path):
        bar.show(Progress(update.tokens, update.total_tokens, "tok", f"loss {update.loss:.3f}"))
    bar.close()
    held_out = trainer.evaluate()
    trainer.model.save(run.path)
    vocabulary.save(run.path)
    rate = trainer.updates * trainer.tokens_per_update / trainer.watch.seconds
    measured = ", ".join(
        f"{name} loss {one.loss:.3f}, accuracy {100 * one.accuracy:.1f} %" for name, one in held_out.items()
    )
    say(f"pretrain: held-out {measured}, {rate:,.0f} tokens/s, {trainer.watch.seconds:.0f} s")
    write_json(run.path / "curve.json", trainer.curve)
    run.finish(
        trainer.watch.seconds,
        objective=settings.pretrain.objective,
        held_out={name: asdict(one) for name, one in held_out.items()},
        tokens_per_second=round(rate),
        tokens=trainer.updates * trainer.tokens_per_update,
        passes=round(trainer.updates * trainer.rows / len(trainer.objective.train), 2),
        parameters=sum(parameter.numel() for parameter in trainer.model.parameters()),
    )
    (run.path / CHECKPOINT).unlink(missing_ok=True)
