"""The README.md of an exported model, from the manifests of the runs that made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from daguan import __version__
from daguan.core.files import read_json
from daguan.core.quantity import quantity
from daguan.core.runs import MANIFEST
from daguan.pipeline.shipping.rivals import ahead_of, run_of, side_of
from daguan.pipeline.shipping.stored_judge import StoredJudge
from daguan.training.prediction import TrainedTagger

PARTS = ("train", "test", "corpus")


def model_card(
    model: Path, trained: TrainedTagger, judge: StoredJudge | None, labels: Sequence[str], licence: str, use: str
) -> str:
    """Returns the text of a model's card.

    Args:
        model: its folder, in or below that of its run.
        labels: the user's names of its types of entities.
        licence: the name of the licence of its weights, as Hugging Face's cards have it.
        use: how it is used, in Markdown.
    """
    run = run_of(model)
    manifest = read_json(run / MANIFEST) if run else {}
    parameters = sum(parameter.numel() for parameter in trained.tagger.parameters())
    parts = [
        f"---\nlicense: {licence}\npipeline_tag: token-classification\ntags: [daguan, token-classification]\n---\n",
        f"# {run.name if run else model.name}\n",
        f"A sequence tagger of daguan {__version__}: encoder "
        f"`{_encoder(trained)}`, head `{trained.model.head}`, {quantity(parameters, 'parameter')}, "
        f"{_vocabulary(trained)}. It finds entities of {quantity(len(labels), 'type')}: "
        f"{', '.join(f'`{label}`' for label in labels)}.{_judge(judge)}\n",
        f"## Use\n\n{use}",
        "## Data\n",
        *(_data(run, manifest) if run else ["The run that made it is not known.\n"]),
        "## Scores\n",
        *(_scores(run, manifest, model) if run else ["Not known.\n"]),
        "## Limits\n",
        *_limits(trained, judge),
        *([f"## Provenance\n\nRun `{run.name}`, commit `{manifest['commit']}`.\n"] if run else []),
    ]
    return "\n".join(parts)


def _judge(judge: StoredJudge | None) -> str:
    if judge is None:
        return ""
    crf = " or an n-gram CRF" if judge.arrays else ""
    return f" A judge, boosted trees and a logistic regression, chooses among the spans that it{crf} proposes."


def _encoder(trained: TrainedTagger) -> str:
    """Returns the type of the encoder, as Hugging Face names one that only a public checkpoint has."""
    return trained.tagger.encoder.model.config.model_type if trained.pieces else trained.model.encoder


def _vocabulary(trained: TrainedTagger) -> str:
    if trained.pieces:
        pieces = quantity(len(trained.pieces.vocabulary), "piece")
        return f"{pieces} of words, by the tokenizer of the public checkpoint below it"
    return f"{quantity(len(trained.vocabulary), 'token')} in the vocabulary"


def _data(run: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Gives the sizes and hashes of the data."""
    path = run.parent / f"prepare-{manifest['depends_on'].get('prepare')}" / MANIFEST
    if not path.is_file():
        yield "The report of its data is not beside its run.\n"
        return
    prepared = read_json(path)
    report, hashes = prepared["report"], prepared["depends_on"]["data"]
    yield "| part | lines | tokens |\n|---|---|---|"
    for part in PARTS:
        if report[part]:
            yield f"| {part} | {report[part]['lines']:,} | {report[part]['tokens']:,} |"
    yield f"\nThe training lines have {quantity(report['entities']['count'], 'entity')}. SHA-256 of the files:\n"
    for name, sha256 in sorted(hashes.items()):
        yield f"- `{name}`: `{sha256}`"
    yield ""


def _scores(run: Path, manifest: Mapping[str, Any], model: Path) -> Iterator[str]:
    """Gives the scores on lines that the model, or an equal one, was not trained on."""
    rows = [*_rows(run, manifest, model)]
    if not rows:
        yield "None are stored beside its run.\n"
        return
    yield "Span F1 in percent, with its 95 % bootstrap interval over lines where it was computed.\n"
    yield "| measured on | P | R | F1 |\n|---|---|---|---|"
    for where, score in rows:
        interval = f" ({'–'.join(f'{100 * end:.2f}' for end in score['interval'])})" if "interval" in score else ""
        yield f"| {where} | {100 * score['p']:.2f} | {100 * score['r']:.2f} | {100 * score['f1']:.2f}{interval} |"
    yield ""
    if ahead := ahead_of(model):
        leads = [f"`{name}` by {100 * lead:.2f} points" for name, lead in ahead.items()]
        yield f"**Other models of these data are ahead of it out of fold:** {', '.join(leads)}.\n"


def _rows(run: Path, manifest: Mapping[str, Any], model: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Gives where a score was measured, and the score."""
    if "sides" in manifest:
        where = "lines that an equal student, which one fold's teachers taught, was not trained on"
        yield where, manifest["sides"][side_of(model, run)]["held_out"]
    for fold in manifest.get("folds", []):
        if f"fold{fold['fold']}" in model.absolute().parts:
            counts = fold["held_out"]
            p, r = (counts["hits"] / max(1, counts[of]) for of in ("predicted", "gold"))
            yield f"{quantity(fold['held_out_lines'], 'line')} that it held out", {"p": p, "r": r, "f1": fold["f1"]}
    for path in sorted(run.parent.glob(f"blend-*/{MANIFEST}")):
        found = read_json(path).get("out_of_fold", {}).get(run.name)
        if found:
            yield "all training lines, each by the model of its fold", found["span"]
            return


def _limits(trained: TrainedTagger, judge: StoredJudge | None) -> Iterator[str]:
    """Gives what the model cannot do."""
    unit = "pieces of words" if trained.pieces else "tokens"
    if trained.pieces:
        yield "- Its words are the tokens of the data that it was trained on: text should be split in the same way."
        yield "- The licence of the public checkpoint below it holds for its weights, too."
    else:
        also = f", and its judge {quantity(len(judge.other_tokens), 'further one')}" if judge else ""
        yield f"- It knows the tokens of its vocabulary{also}; all others are one unknown token to it."
    yield "- It finds entities of the types above alone, and none that overlap."
    yield (
        f"- It reads {trained.window:,} {unit} at once. Longer lines are cut into windows that share about "
        f"{trained.overlap:,} {unit}, and joined again: an entity has no context beyond its window."
    )
    if judge:
        yield (
            "- This folder holds all tokens of the training lines, and "
            f"{quantity(len(judge.stack['lexicon']), 'string')} of tokens that are entities there: whoever has it can "
            "read them."
        )
    yield "- Its scores hold for lines as those it was measured on."
    yield "- It only labels: it cannot be trained further.\n"
