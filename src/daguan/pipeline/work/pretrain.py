"""The stage `pretrain`: makes what an encoder starts from."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from daguan.core.files import write_json
from daguan.core.progress import Bar, Progress, say
from daguan.core.runs import CHECKPOINT, Run, Stopwatch
from daguan.data.batches.packing import Blocks, token_file
from daguan.data.vocabulary import Vocabulary
from daguan.families.member import MemberSettings
from daguan.models.encoders.loading import save_model
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import ENCODERS
from daguan.training.devices import prepare_process, share_cores
from daguan.training.engine_settings import EngineSettings
from daguan.training.initial_encoders import encoder_with_vectors, public_encoder
from daguan.training.pretraining import Pretrainer

START = "start"  # folder of a public checkpoint over our vocabulary, while it is pretrained further


def pretrain(
    run: Run, prepared: Path, settings: MemberSettings, engine: EngineSettings,
    goes_on: Callable[[], bool] = lambda: True,
) -> None:  # fmt: skip
    """Write an encoder: pretrained from scratch, from a public checkpoint, or with token vectors alone.

    goes_on: asked at each update; the run stays unfinished where it returns false. Raises DivergenceError.
    """
    prepare_process(share_cores(engine, 1)[1])
    vocabulary = Vocabulary.load(prepared)
    size = settings.encoder
    if not ENCODERS[settings.model.encoder].pretrained:
        _write_with_vectors(run, prepared, vocabulary, settings)
        return
    if size.checkpoint:
        folder = run.path / START if settings.pretrain.tokens else run.path
        _write_checkpoint(folder, vocabulary, settings)
        size = size.replace(checkpoint=str(folder), counts="")
    if settings.pretrain.tokens:
        _pretrain(run, prepared, vocabulary, size, settings, engine, goes_on)
    else:
        run.finish(0.0)


def _pretrain(
    run: Run, prepared: Path, vocabulary: Vocabulary, size: EncoderSettings, settings: MemberSettings,
    engine: EngineSettings, goes_on: Callable[[], bool],
) -> None:  # fmt: skip
    """Write the model in Hugging Face layout with its vocabulary and the curve of its loss."""
    blocks = Blocks(token_file(prepared, len(vocabulary)), size.max_length)
    trainer = Pretrainer(
        settings.model.encoder, size, settings.pretrain, engine, blocks, len(vocabulary), settings.seed
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
        objective=settings.objective,
        held_out={name: asdict(one) for name, one in held_out.items()},
        tokens_per_second=round(rate),
        tokens=trainer.updates * trainer.tokens_per_update,
        passes=round(trainer.updates * trainer.rows / len(trainer.objective.train), 2),
        parameters=sum(parameter.numel() for parameter in trainer.model.parameters()),
    )
    (run.path / CHECKPOINT).unlink(missing_ok=True)
    if size.checkpoint:
        shutil.rmtree(size.checkpoint)


def _write_checkpoint(folder: Path, vocabulary: Vocabulary, settings: MemberSettings) -> None:
    """Write the public checkpoint over our vocabulary. A killed run starts again."""
    model = public_encoder(settings.model.encoder, settings.encoder, vocabulary, settings.seed)
    save_model(model, folder)
    vocabulary.save(folder)
    size = f"{model.config.num_hidden_layers} layers of {model.config.hidden_size}"
    say(f"pretrain: starts from {settings.encoder.checkpoint}, {size}, over our {len(vocabulary):,} vocabulary entries")


def _write_with_vectors(run: Run, prepared: Path, vocabulary: Vocabulary, settings: MemberSettings) -> None:
    """Write an encoder whose token vectors are all that it has learnt. A killed run starts again."""
    watch, chosen = Stopwatch(), settings.vectors
    bar = Bar("pretrain: vectors")
    encoder, known = encoder_with_vectors(
        settings.model.encoder, settings.encoder, chosen, prepared, vocabulary, settings.seed,
        lambda done: bar.show(Progress(done, chosen.epochs, "epochs")),
    )  # fmt: skip
    bar.close()
    encoder.save(run.path)
    vocabulary.save(run.path)
    say(f"pretrain: vectors ({chosen.kind}) of {known:,} of {len(vocabulary):,} entries, {watch.seconds:.0f} s")
    run.finish(watch.seconds, entries_with_vectors=known)
