"""Exports one trained model, or a student with its judge, to a form that runs without this package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from daguan.core.errors import CheckpointError
from daguan.core.files import naming, write_text
from daguan.core.progress import say
from daguan.core.settings import require
from daguan.core.tables import Row
from daguan.ensemble.distillation import megabytes
from daguan.families.family import family_in
from daguan.formats.format import require_new
from daguan.formats.translation import Translation
from daguan.models.settings import ModelSettings
from daguan.pipeline.shipping.model_card import model_card
from daguan.pipeline.shipping.rivals import warn
from daguan.pipeline.shipping.stored_judge import StoredJudge
from daguan.pipeline.work.predict import find_models
from daguan.training.engine_settings import EngineSettings
from daguan.training.prediction import FILE, TrainedTagger

FORMS = {
    "hf": Row("daguan.pipeline.shipping.hugging_face:FORM", about="a folder for Hugging Face's Auto classes"),
    "onnx": Row("daguan.pipeline.shipping.onnx_runtime:FORM", about="a graph for ONNX Runtime"),
    "onnx-int8": Row("daguan.pipeline.shipping.onnx_runtime:FORM_INT8", about="the same with matrices of 8 bits"),
}
CPU = EngineSettings(device="cpu", precision="float32")
OTHER = "other"


class Form(NamedTuple):
    """A form of an exported model.

    Attributes:
        write: writes it, with its judge if it has one, into an existing folder. Raises CheckpointError: that form
            cannot hold the model.
        use: how it is used, in Markdown.
        check: looks for the packages that it needs. Raises ConfigError.
        refusal: says why it cannot hold a tagger with these settings; empty where it can.
    """

    write: Callable[[TrainedTagger, StoredJudge | None, Translation, Path], None]
    use: str
    check: Callable[[], None] = lambda: None
    refusal: Callable[[ModelSettings], str] = lambda model: ""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        form: a key of FORMS.
        megabytes: its size in 10⁶ bytes.
        unreadable_tokens: number of tokens with white space, which text cannot hold, of a model that reads tokens.
        ahead: by how much span F1 other models are ahead of it out of fold, by name.
    """

    form: str
    megabytes: float
    unreadable_tokens: int
    ahead: dict[str, float]


def export(model: Path, folder: Path, to: str, licence: str = OTHER) -> Exported:
    """Writes a model to a new folder, whole or not at all.

    Args:
        model: the folder of one model or of a student, as `predict` takes it.
        to: a key of FORMS.
        licence: the name of the licence of the weights, for the card.

    Raises:
        DaguanError: no model, several that are no student, a model that the form cannot hold, or a folder that is in
            use.
    """
    form = form_for(folder, to)
    path, judge = shippable(model)
    trained, translation = TrainedTagger.load(path, CPU), Translation.load(path)
    if reason := refusal(form, trained.model):
        raise CheckpointError(f"{path}: {reason}")
    if judge and trained.pieces:
        say(f"export: warning: {model}: exported without its judge, which reads tokens, as the model reads pieces")
        judge = None
    labels = translation.labels(trained.scheme.labels)
    with naming(folder):
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.absolute().parent, prefix=f".{folder.name}.") as scratch:
        made = Path(scratch) / "model"
        made.mkdir()
        form.write(trained, judge, translation, made)
        place = path if judge is None else model
        write_text(made / "README.md", model_card(place, trained, judge, labels, licence, form.use))
        with naming(folder):
            if folder.is_dir():
                folder.rmdir()  # empty, and in the way on some systems
            made.rename(folder)
    tokens = translation.book.tokens if translation.book and not trained.pieces else ()
    unreadable = sum(len(token.split()) != 1 for token in tokens)
    return Exported(to, megabytes([folder]), unreadable, warn("export", place))


def refusal(form: Form, model: ModelSettings) -> str:
    """Returns why a form cannot hold a tagger with these settings, empty where it can."""
    if model.pieces and model.ngram_buckets:
        return "model.ngram_buckets: expected 0 with model.pieces, as an exported tokenizer gives no tokens of n-grams"
    return form.refusal(model)


def form_for(folder: Path, to: str) -> Form:
    """Returns a form. Raises DaguanError: no such form, a package of it is missing, or the folder is in use."""
    require("--to", to in FORMS, " or ".join(FORMS), to)
    require_new(folder)
    form: Form = FORMS[to].load()
    form.check()
    return form


def shippable(folder: Path) -> tuple[Path, StoredJudge | None]:
    """Returns the folder of the tagger in a folder, and the judge of a student.

    Raises:
        CheckpointError: there is no model, there are several that no judge joins, or it is no tagger.
    """
    paths, combination = find_models(folder)
    found = [path for of_member in paths for path in of_member]
    stack = combination if StoredJudge.is_in(folder) else None
    if len(found) > 1 and stack is None:
        raise CheckpointError(
            f"{folder}: expected one model to export, got {len(found)} whose answers are combined; "
            "export one of them, such as "
            f"{found[0]}, or the student that `distil` makes of all"
        )
    if family_in(found[0]) is None or not (found[0] / FILE).is_file():
        raise CheckpointError(f"{found[0]}: expected a tagger to export, got an n-gram CRF, which is no neural network")
    return found[0], StoredJudge.load(folder, stack, found[1:]) if stack else None
