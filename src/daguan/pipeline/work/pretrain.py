"""The stage `pretrain`: makes what an encoder starts from."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from daguan.core.files import write_json
from daguan.core.progress import Progress
from daguan.core.quantity import quantity
from daguan.core.runs import CHECKPOINT, Stopwatch
from daguan.data.batches.packing import Blocks, ids_of, token_file, write_token_file
from daguan.data.contest import Contest
from daguan.data.vocabulary import Vocabulary
from daguan.families.job import RESULT, Job, Report, result_of
from daguan.formats.code_book import CodeBook
from daguan.models.encoders.loading import save_model
from daguan.models.encoders.pieces import Pieces
from daguan.models.encoders.table import ENCODERS
from daguan.training import ranks
from daguan.training.devices import device_facts, prepare_process
from daguan.training.initial_encoders import encoder_with_vectors, public_encoder
from daguan.training.loop import updates_a_second
from daguan.training.pretraining import Pretrainer

START = "start"  # folder of a public checkpoint over our vocabulary, while it is pretrained further


@dataclass(frozen=True, kw_only=True)
class PretrainJob(Job):
    """All that a worker needs to make what members start from.

    Attributes:
        member: one of these members.
        contest: the folder of the data.
        measures: whether the job only measures its speed.
    """

    kind: ClassVar[str] = "pretrain"
    member: str
    contest: str
    measures: bool = False

    @property
    def name(self) -> str:
        return f"pretrain {self.member}"

    @property
    def kind_of_work(self) -> str:
        return self.name

    def summary(self, result: dict[str, Any]) -> str:
        found = (
            f"{name} loss {one['loss']:.3f}, accuracy {100 * one['accuracy']:.1f} %"
            for name, one in result.get("held_out", {}).items()
        )
        parts = [f"held-out {', '.join(found)}"] if "held_out" in result else []
        parts += [result["about"]] if "about" in result else []
        parts += [f"{result['tokens_per_second']:,} tokens/s"] if "tokens_per_second" in result else []
        return ", ".join([*parts, f"{result['seconds']:.0f} s"])


def pretrain(job: PretrainJob, report: Report) -> dict[str, Any]:
    """Writes an encoder: pretrained from scratch, from a public checkpoint, or with token vectors alone. Returns
    result.json. Raises DivergenceError."""
    folder = Path(job.folder)
    with ranks.alone_in(folder):
        if ranks.of_first(job.finished):
            return result_of(job)
        prepare_process(job.threads, job.engine)
        result = _make(job, folder, Vocabulary.load(Path(job.prepared)), report) | {"threads": job.threads}
        if not ranks.is_first():
            return {}
        write_json(folder / RESULT, result)
        (folder / CHECKPOINT).unlink(missing_ok=True)
        shutil.rmtree(folder / START, ignore_errors=True)
        return result


def _make(job: PretrainJob, folder: Path, vocabulary: Vocabulary, report: Report) -> dict[str, Any]:
    settings, result = job.settings, dict[str, Any]()
    if not ENCODERS[settings.model.encoder].pretrained:
        return _write_with_vectors(job, folder, vocabulary, report)
    text = Path(job.prepared)
    if settings.encoder.checkpoint:
        start = folder / START if settings.pretrain.tokens else folder
        if ranks.is_first():
            result = _write_checkpoint(start, vocabulary, job)
        ranks.wait_for_all()  # the others read what the first rank has written
        if settings.model.pieces:
            vocabulary, text = Vocabulary.load(start), start
    return result | _pretrain(job, folder, vocabulary, text, report) if settings.pretrain.tokens else result


def _pretrain(job: PretrainJob, folder: Path, vocabulary: Vocabulary, text: Path, report: Report) -> dict[str, Any]:
    """Writes the model in Hugging Face layout with its vocabulary and the curve of its loss.

    text: the folder with the file of the vocabulary's numbers that it reads.
    """
    settings, size = job.settings, job.settings.encoder
    if size.checkpoint:
        size = size.replace(checkpoint=str(folder / START), counts="")
    blocks = Blocks(token_file(text, len(vocabulary)), size.max_length)

    def new_trainer(updates: int = 0) -> Pretrainer:
        tokens = updates * trainer.tokens_per_update if updates else settings.pretrain.tokens
        return Pretrainer(
            settings.model.encoder, size, settings.pretrain.replace(tokens=tokens), job.engine, blocks,
            len(vocabulary), settings.seed,
        )  # fmt: skip

    trainer = new_trainer()
    most = trainer.updates
    if job.measures:
        return {"tokens_per_second": round(trainer.tokens_per_update * updates_a_second(trainer)), "seconds": 0.0}
    if job.seconds:
        trainer = new_trainer(job.fixed_updates(partial(updates_a_second, trainer), most, Stopwatch()))
    for update in trainer.fit(folder):
        rate, seconds = trainer.rate, trainer.watch.seconds
        report(Progress(update.tokens, update.total_tokens, "tok", update.loss, rate=rate, seconds=seconds))
    held_out = trainer.evaluate()
    if not ranks.is_first():
        return {}
    trainer.model.save(folder)
    vocabulary.save(folder)
    if settings.model.pieces:
        Pieces.load(folder / START).save(folder)
    write_json(folder / "curve.json", trainer.curve)
    tokens = trainer.updates * trainer.tokens_per_update
    return {
        "seconds": trainer.watch.seconds,
        "updates": trainer.updates,
        "most_updates": most,
        "objective": settings.pretrain.objective,
        **device_facts(job.engine),
        "held_out": {name: asdict(one) for name, one in held_out.items()},
        "tokens_per_second": round(tokens / trainer.watch.seconds),
        "tokens": tokens,
        "passes": round(trainer.updates * trainer.rows / len(trainer.objective.train), 2),
        "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
    }


def _write_checkpoint(folder: Path, vocabulary: Vocabulary, job: PretrainJob) -> dict[str, Any]:
    """Writes the public checkpoint over our vocabulary or, with pieces, over its own with our special tokens, and then
    the text in pieces if it is pretrained further. A killed run starts again."""
    settings, watch, whose = job.settings, Stopwatch(), "our"
    if settings.model.pieces:
        pieces = Pieces.of_checkpoint(Path(settings.encoder.checkpoint), CodeBook.texts(Contest(Path(job.contest))))
        pieces.save(folder)
        if settings.pretrain.tokens:
            ids = ids_of(token_file(Path(job.prepared), len(vocabulary)))
            write_token_file(token_file(folder, len(pieces.vocabulary)), pieces.of_ids(ids, vocabulary))
        vocabulary, whose = pieces.vocabulary, "its own"
    model = public_encoder(settings.model.encoder, settings.encoder, vocabulary, settings.seed)
    save_model(model, folder)
    vocabulary.save(folder)
    size = f"{quantity(model.config.num_hidden_layers, 'layer')} of {model.config.hidden_size}"
    entries = quantity(len(vocabulary), "vocabulary entry")
    about = f"starts from {settings.encoder.checkpoint}, {size}, over {whose} {entries}"
    return {"about": about, "seconds": watch.seconds}


def _write_with_vectors(job: PretrainJob, folder: Path, vocabulary: Vocabulary, report: Report) -> dict[str, Any]:
    """Writes an encoder whose token vectors are all that it has learnt. A killed run starts again."""
    settings, watch = job.settings, Stopwatch()
    chosen = settings.vectors
    encoder, known = encoder_with_vectors(
        settings.model.encoder, settings.encoder, chosen, Path(job.prepared), vocabulary, settings.seed,
        lambda done: report(Progress(done, chosen.epochs, "epochs")),
    )  # fmt: skip
    encoder.save(folder)
    vocabulary.save(folder)
    about = f"vectors ({chosen.kind}) of {known:,} of {quantity(len(vocabulary), 'entry')}"
    return {"about": about, "seconds": watch.seconds, "entries_with_vectors": known}
