"""Makes what taggers start from: a pretrained encoder, a public checkpoint over our vocabulary, or token vectors."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from daguan.core.errors import DivergenceError
from daguan.core.files import write_json
from daguan.core.progress import Bar, Progress, say
from daguan.core.runs import Run, Stopwatch
from daguan.data.batches.packing import Blocks, token_file
from daguan.data.vocabulary import Vocabulary
from daguan.models.encoders.loading import save_model
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import ENCODERS, objective_of
from daguan.pipeline.engines.supervision import Supervisor
from daguan.pipeline.settings import Settings
from daguan.pipeline.stages import Stages, once
from daguan.training.devices import prepare_process, share_cores
from daguan.training.initial_encoders import adopted, begun_with_vectors
from daguan.training.loop import CHECKPOINT
from daguan.training.pretraining import Pretrainer

START = "start"  # folder of a checkpoint made ours, while it is pretrained further


def make(settings: Settings, supervisor: Supervisor) -> None:
    stages = Stages(settings)
    stages.prepare.manifest()
    runs: dict[str, tuple[Run, list[str]]] = {}
    for member in filter(supervisor.keeps, settings.trained):
        if run := stages.pretrain(member):
            runs.setdefault(run.key, (run, []))[1].append(member)
    if not runs:
        say("pretrain: no member starts from a pretrained encoder or from token vectors, nothing to do")
    for run, members in runs.values():
        goes_on = partial(supervisor.is_worth_making, members)
        begin = partial(start, prepared=stages.prepare.path, settings=settings.member(members[0]), goes_on=goes_on)
        try:
            once(run, begin)
        except DivergenceError as error:
            supervisor.failed(error, *members)


def start(run: Run, prepared: Path, settings: Settings, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Make what the encoder starts from; left unfinished where `goes_on`, asked at each update, says so. Raises
    DivergenceError."""
    prepare_process(share_cores(settings.engine, 1)[1])
    vocabulary = Vocabulary.load(prepared)
    size = settings.encoder
    if not ENCODERS[settings.model.encoder].pretrained:
        begin_with_vectors(run, prepared, vocabulary, settings)
        return
    if size.checkpoint:
        folder = run.path / START if settings.pretrain.tokens else run.path
        adopt_checkpoint(folder, vocabulary, settings)
        size = size.replace(checkpoint=str(folder), counts="")
    if settings.pretrain.tokens:
        pretrain(run, prepared, vocabulary, size, settings, goes_on)
    else:
        run.finish(0.0)


def pretrain(
    run: Run, prepared: Path, vocabulary: Vocabulary, size: EncoderSettings, settings: Settings,
    goes_on: Callable[[], bool],
) -> None:  # fmt: skip
    """Write the model in Hugging Face layout with its vocabulary and the curve of its loss."""
    blocks = Blocks(token_file(prepared, len(vocabulary)), size.max_length)
    trainer = Pretrainer(
        settings.model.encoder, size, settings.pretrain, settings.engine, blocks, len(vocabulary), settings.seed
    )
    bar = Bar("pretrain")
    for update in trainer.fit(run.path):
        bar.show(Progress(update.tokens, update.total_tokens, "tok", f"loss {update.loss:.3f}"))
        if not goes_on():
            bar.close()
            return
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
        objective=objective_of(settings.model.encoder, settings.pretrain.objective),
        held_out={name: asdict(one) for name, one in held_out.items()},
        tokens_per_second=round(rate),
        tokens=trainer.updates * trainer.tokens_per_update,
        passes=round(trainer.updates * trainer.rows / len(trainer.objective.train), 2),
        parameters=sum(parameter.numel() for parameter in trainer.model.parameters()),
    )
    (run.path / CHECKPOINT).unlink(missing_ok=True)
    if size.checkpoint:
        shutil.rmtree(size.checkpoint)


def adopt_checkpoint(folder: Path, vocabulary: Vocabulary, settings: Settings) -> None:
    """Write the checkpoint over our vocabulary. Not resumed: a killed run starts again."""
    model = adopted(settings.model.encoder, settings.encoder, vocabulary, settings.seed)
    save_model(model, folder)
    vocabulary.save(folder)
    size = f"{model.config.num_hidden_layers} layers of {model.config.hidden_size}"
    say(f"pretrain: {settings.encoder.checkpoint} taken over, {size}, with {len(vocabulary):,} entries of ours")


def begin_with_vectors(run: Run, prepared: Path, vocabulary: Vocabulary, settings: Settings) -> None:
    """Write an encoder with its token vectors. Not resumed: a killed run starts again."""
    watch, chosen = Stopwatch(), settings.vectors
    bar = Bar("pretrain: vectors")
    encoder, known = begun_with_vectors(
        settings.model.encoder, settings.encoder, chosen, prepared, vocabulary, settings.seed,
        lambda done: bar.show(Progress(done, chosen.epochs, "epochs")),
    )  # fmt: skip
    bar.close()
    encoder.save(run.path)
    vocabulary.save(run.path)
    say(f"pretrain: vectors ({chosen.kind}) of {known:,} of {len(vocabulary):,} entries, {watch.seconds:.0f} s")
    run.finish(watch.seconds, entries_with_vectors=known)
