"""A trained model as programs use it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daguan.api.lines import Tokens, tokens_of
from daguan.core.errors import CheckpointError
from daguan.core.files import read_json
from daguan.core.runs import MANIFEST, require_current
from daguan.core.types import Sentence, Span
from daguan.data.marginals import mean
from daguan.data.tags import TagScheme
from daguan.ensemble.combination import Combination, MemberMarginals
from daguan.ensemble.labelling import CHUNK_LINES, Members, load_members, marginals_of
from daguan.ensemble.weighting import plain_mean
from daguan.formats.translation import Translation
from daguan.training.engine_settings import EngineSettings

if TYPE_CHECKING:
    from pandas import DataFrame


def load(folder: str | Path, device: str = "auto") -> Model:
    """Returns the model in a folder: of a blend, of a member, of a distilled student, or of one fold.

    It needs no training data. `device` is auto, cpu, cuda, cuda:1 and so on. Raises DaguanError: there is no model, a
    damaged one, or one of another version.
    """
    from daguan.pipeline.work.predict import find_models

    path = Path(folder)
    paths, combination = find_models(path)
    members = load_members(paths, EngineSettings(device=device))
    return Model(path, members, combination, Translation.load(paths[0][0]))


class Model:
    """A trained model. It keeps no state between calls, so several threads may use it at once.

    Tokens and labels are those of the data that it was fitted to, whatever their text; unknown tokens are allowed.

    Attributes:
        path: its folder.
        labels: the entity types that it knows.
        tags: the names of the K columns of `marginals`: O, then B, I, E and S of each label.
    """

    def __init__(self, path: Path, members: Members, combination: Combination | None, translation: Translation) -> None:
        self.path = path
        self._members = members
        self._combination = combination or plain_mean(members[0][0].labels, len(members))
        self._translation = translation
        self.labels = translation.labels(self._combination.labels)
        self.tags = TagScheme(self.labels).tags

    def predict(self, lines: Iterable[Tokens]) -> list[list[Span]]:
        """Returns the entities of each line, in order; a line without tokens has none.

        Each line is a list of tokens. A span is half-open, [start, stop) in tokens. Raises DaguanError: a line is no
        list of strings.
        """

        def spans(chunk: Sequence[Sentence], answers: MemberMarginals) -> Iterable[list[Span]]:
            return map(self._translation.decode, self._combination.spans(chunk, answers))

        return self._answers(lines, spans, [])

    def marginals(self, lines: Iterable[Tokens]) -> list[NDArray[np.float32]]:
        """Returns P(tag) of each line's tokens, (T,K), the plain mean over the members; columns are `tags`."""
        none = np.zeros((0, len(self.tags)), np.float32)
        return self._answers(lines, lambda chunk, answers: (one.astype(np.float32) for one in mean(answers)), none)

    def entities(self, lines: Iterable[Tokens]) -> DataFrame:
        """Returns a table with a row for each entity: line (from 0), start, stop, label, probability and text, which
        is its tokens joined by '_'."""
        from daguan.api.frames import entities

        given = list(lines)
        return entities(given, self.predict(given))

    def calibration(self) -> DataFrame:
        """Returns the numbers of a reliability plot of the blend, out of fold: by type (empty: all) and by bin of
        probability, the number of entities, their mean probability and the share that is right. Raises DaguanError: the
        folder is not of a blend."""
        from daguan.api.frames import calibration

        manifest = self._manifest()
        if "calibration" not in manifest:
            raise CheckpointError(
                f"{self.path}: expected a blend, which has out-of-fold probabilities, got another run"
            )
        found = manifest["calibration"][manifest["final"]]
        return calibration(found | {"by_type": self._translation.by_type(found["by_type"])})

    def leaderboard(self) -> DataFrame:
        """Returns a table of what was trained: a row for each member and for the blend, with the out-of-fold scores,
        their 95 % intervals, the F1 of each fold and the seconds of training. Raises DaguanError: the folder is of a
        single model or of a student, which have no such scores."""
        from daguan.api.frames import leaderboard

        manifest = self._manifest()
        if "out_of_fold" not in manifest:
            raise CheckpointError(f"{self.path}: expected a blend or a member with scores, got a student")
        return leaderboard(self.path, manifest)

    def export(self, folder: str | Path, to: str = "hf", licence: str = "other") -> Path:
        """Writes the model to a new folder, in a form that runs without daguan, and returns the folder.

        `to` is hf, for Hugging Face's Auto classes, or onnx or onnx-int8, for ONNX Runtime. `licence` is the name of
        the weights' licence, for the card. Raises DaguanError: it is neither one model nor a student, or the form
        cannot hold it.
        """
        from daguan.pipeline.shipping.export import export

        export(self.path, Path(folder), to, licence)
        return Path(folder)

    def _manifest(self) -> dict[str, Any]:
        """Returns the manifest of the run. Raises CheckpointError: there is none, as for a single model."""
        if not (self.path / MANIFEST).is_file():
            raise CheckpointError(f"{self.path}: expected a blend or a member with scores, got a single model")
        manifest = dict(read_json(self.path / MANIFEST))
        require_current(self.path, manifest)
        return manifest

    def _answers(self, lines: Iterable[Tokens], answer: Callable[..., Iterable[Any]], none: Any) -> list[Any]:
        """Returns answer(sentences, the members' marginals) of each line, and `none` of lines without tokens."""
        given = [tokens_of(line, f"lines[{number}]") for number, line in enumerate(lines)]
        found = [none] * len(given)
        places = [place for place, tokens in enumerate(given) if tokens]
        for low in range(0, len(places), CHUNK_LINES):
            here = places[low : low + CHUNK_LINES]
            chunk = [Sentence(self._translation.encode(given[place])) for place in here]
            for place, one in zip(here, answer(chunk, marginals_of(self._members, chunk)), strict=True):
                found[place] = one
        return found
