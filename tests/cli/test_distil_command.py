"""Two n-gram CRFs taught to a small tagger on a tiny contest: what is shipped, what is scored, and cut short."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import TINY
from daguan.cli.app import main
from daguan.core.files import read_json, sha256_of_file, write_json
from daguan.core.progress import Progress
from daguan.core.types import Score, labels_of
from daguan.data.decoding import decode_lines
from daguan.data.folds import read_folds
from daguan.data.format import format_labelled, read_labelled, read_unlabelled, write_lines
from daguan.data.marginals import Marginals
from daguan.data.span_score import span_score
from daguan.data.tags import TagScheme
from daguan.data.text_index import TextIndex
from daguan.ensemble.blend_settings import METHODS
from daguan.ensemble.blending import FILE, MODELS, load_held_out, load_text_index
from daguan.ensemble.combination import Combination, MemberMarginals, OutOfFoldData
from daguan.ensemble.distillation import best_on_other_folds
from daguan.ensemble.pseudo_labels import Teachers
from daguan.ensemble.stacking import StackLearner
from daguan.families.fold import HELD_OUT, MODEL, TEST
from daguan.pipeline.settings import load
from daguan.pipeline.shipping.rivals import ahead_of
from daguan.pipeline.stages import Stages
from daguan.pipeline.work import distil
from daguan.training.prediction import annotate
from in_process import in_process

TAUGHT = [
    *TINY,
    "folds.lines=50",
    "pretrain.tokens=0",
    "members=ngram_crf,other",
    "ensemble.other={family: ngram_crf, ngram_crf: {c1: 1}}",
    "ensemble.small={model: {encoder: lstm, head: crf}, train: {epochs: 2}}",
    "ensemble.needy={pseudo_labels: {teachers: [other]}}",
    "distil.student=small",
    "distil.corpus_lines=20",
    "distil.confidence=0.3",
]


def words(contest: Path, root: Path, *more: str) -> list[str]:
    root.mkdir(exist_ok=True)
    (root / "empty.yaml").touch()
    return [str(root / "empty.yaml"), *TAUGHT, f"data.dir={contest}", f"data.work={root / 'work'}", *more]


@pytest.fixture(scope="module")
def taught(contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The teachers."""
    root = tmp_path_factory.mktemp("taught")
    with in_process():
        for stage in ("prepare", "train", "blend"):
            assert main([stage, *words(contest, root)]) == 0
    return root


@pytest.fixture(scope="module")
def distilled(contest: Path, taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = shutil.copytree(taught, tmp_path_factory.mktemp("distilled"), dirs_exist_ok=True)
    with in_process():
        assert main(["distil", *words(contest, root)]) == 0
    return root


def folder(root: Path) -> Path:
    (found,) = (root / "work").glob("distil-*")
    return found


def labels(root: Path, student: str) -> Path:
    """The file of the lines that a student learns from beside the gold ones."""
    return folder(root) / "labels" / f"fold{0 if student == 'scored' else 2}.txt"


def digests(root: Path) -> dict[str, str]:
    """All that is the same each time: models, the judge, labels, answers."""
    same = [path for path in folder(root).rglob("*") if path.suffix in (".safetensors", ".txt")]
    files = [*same, folder(root) / FILE, folder(root) / MODELS]
    return {str(path.relative_to(folder(root))): sha256_of_file(path) for path in files}


def test_the_last_line_says_what_was_measured(
    contest: Path, distilled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["distil", *words(contest, distilled, "--json")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == str(folder(distilled))
    sides = told["sides"]
    assert set(sides) == {"teacher", "student", "model alone", "best member"}
    assert {side["held_out"]["gold"] for side in sides.values()} == {sides["student"]["held_out"]["gold"]}
    models = {name: side["models"] for name, side in sides.items()}
    assert models == {"teacher": 4, "student": 2, "model alone": 1, "best member": 2}  # two are of a member's folds
    for side in sides.values():
        assert side["lines_per_second"] > 0
        assert side["megabytes"] > 0
        assert 0 < side["test"]["f1"] <= 1
    assert set(told["gains"]) == {"teacher", "model alone", "best member"}
    f1 = {name: side["held_out"]["f1"] for name, side in sides.items()}
    for name, gain in told["gains"].items():
        assert gain["f1"] == pytest.approx(f1["student"] - f1[name])
    best = sides["best member"]["run"]
    for members, side in (("members", "student"), ("members_alone", "model alone")):
        assert {name.rpartition("-")[0] for name in told[members]} == {"ngram_crf", "other"}
        assert told[members][best]["f1"] == pytest.approx(f1[side] - f1["best member"])
    assert told["members"][best] == told["gains"]["best member"]


def test_the_shipped_student_is_trained_on_all_lines_and_the_scored_one_holds_fold_0_out(
    contest: Path, distilled: Path
) -> None:
    run = folder(distilled)
    shipped, scored = read_json(run / "shipped" / "result.json"), read_json(run / "scored" / "result.json")
    lines = 50  # that take part
    assert (shipped["training_lines"], shipped["held_out_lines"], shipped["f1s"]) == (lines, 0, [])
    assert scored["training_lines"] + scored["held_out_lines"] == lines
    assert not (run / "shipped" / "held_out.safetensors").exists()
    manifest = read_json(run / "manifest.json")
    assert manifest["sides"]["model alone"]["held_out"]["f1"] == scored["f1"]
    partner = read_json(run / "ngram_crf" / "result.json")
    assert (partner["training_lines"], partner["held_out_lines"]) == (lines, 0)
    assert not (run / "ngram_crf" / "held_out.safetensors").exists()
    for name, result, fold in (("scored", scored, 0), ("shipped", shipped, 2)):
        labelled = read_labelled(run / "labels" / f"fold{fold}.txt")
        kept = manifest["labelled"][name]
        assert len(labelled) == result["pseudo_labelled_lines"] == kept["test"]["kept"] + kept["corpus"]["kept"] > 0
        assert kept["corpus"]["offered"] == 20


def test_the_scored_student_and_its_teacher_know_nothing_of_fold_0(
    contest: Path, taught: Path, distilled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taught by fold 0's models, and stands beside a blend of their answers that the other folds taught."""
    asked: list[tuple[str, int]] = []
    for name in ("blend", "combination"):
        method = getattr(Teachers, name)

        def noted(teachers: Teachers, fold: int, name: str = name, method: Callable[..., Any] = method) -> Any:
            asked.append((name, fold))
            return method(teachers, fold)

        monkeypatch.setattr(Teachers, name, noted)
    root = shutil.copytree(taught, tmp_path / "root", ignore=shutil.ignore_patterns("distil-*"))
    with in_process():
        assert main(["distil", *words(contest, root)]) == 0
    assert set(asked) == {("blend", 0), ("combination", 0)}
    assert digests(root) == digests(distilled)

    stages = Stages(load(words(contest, distilled)))
    data = out_of_fold(stages, [run.path for run in stages.members], load_text_index(stages.prepare.path))
    fitted = METHODS["stack"].load().learner(data).fit(data.fold_of_line != 0)
    assert told_of(distilled, "teacher") == score_on_fold_0(data, fitted, data.marginals)


def out_of_fold(stages: Stages, runs: Sequence[Path], text: TextIndex | None) -> OutOfFoldData:
    train = read_labelled(stages.train_file)
    answers = [load_held_out(run, 2) for run in runs]
    scheme = TagScheme(labels_of(train))
    return OutOfFoldData(train, read_folds(stages.prepare.path), answers, scheme, stages.settings.seed, text)


def score_on_fold_0(data: OutOfFoldData, fitted: Combination, answers: MemberMarginals) -> Score:
    """The score of a combination of answers to all lines."""
    lines = np.flatnonzero(data.fold_of_line == 0).tolist()
    gold = [data.gold[line] for line in lines]
    return span_score(annotate(gold, fitted.spans(gold, [[of[line] for line in lines] for of in answers])), gold)


def told_of(root: Path, side: str) -> Score:
    told = read_json(folder(root) / "manifest.json")["sides"][side]["held_out"]
    return Score(told["hits"], told["predicted"], told["gold"])


def require_judge(contest: Path, root: Path, names: Sequence[str], *more: str) -> None:
    """The judge of these members' answers reads no text and, where it is scored, no gold label of fold 0."""
    stages, run = Stages(load(words(contest, root, *more))), folder(root)
    data = out_of_fold(stages, [stages.train(name).path for name in names], None)
    learner = StackLearner(data)
    shipped = json.loads(json.dumps(learner.fit(np.ones(len(data.gold), bool)).to_json()))
    stored = read_json(run / FILE)
    assert {name: stored[name] for name in shipped} == shipped
    assert (stored["method"], stored["text"]) == ("stack", None)
    assert read_json(run / MODELS) == [["model"], ["ngram_crf/model"]][: len(names)]
    student = Marginals.load(run / "scored" / HELD_OUT).by_line()
    answers = [[student.get(line, probs) for line, probs in enumerate(data.marginals[0])], *data.marginals[1:]]
    assert told_of(root, "student") == score_on_fold_0(data, learner.fit(data.fold_of_line != 0), answers)


def test_the_judge_learns_from_held_out_answers_of_the_members_alone(contest: Path, distilled: Path) -> None:
    """`small` is not trained: the blend's best member stands for it."""
    require_judge(contest, distilled, ["other", "ngram_crf"])


def predicted(model: Path, contest: Path, out: Path) -> bytes:
    assert main(["predict", str(model), str(contest / "test.txt"), str(out)]) == 0
    return out.read_bytes()


def test_the_run_s_folder_labels_lines_as_the_run_did_wherever_it_is(
    contest: Path, distilled: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(folder(distilled), tmp_path / "far" / "elsewhere")
    for run in (folder(distilled), moved):
        assert predicted(run, contest, tmp_path / "out.txt") == (folder(distilled) / "answer.txt").read_bytes()


def test_the_model_alone_labels_lines_by_its_own_marginals(contest: Path, distilled: Path, tmp_path: Path) -> None:
    run, test = folder(distilled), read_unlabelled(contest / "test.txt")
    scheme = TagScheme(labels_of(read_labelled(contest / "train.txt")))
    spans = decode_lines(Marginals.load(run / "shipped" / TEST).per_line(), scheme)
    write_lines(tmp_path / "decoded.txt", map(format_labelled, annotate(test, spans)))
    moved = shutil.copytree(run / MODEL, tmp_path / "elsewhere")
    for model in (run / MODEL, moved):
        assert predicted(model, contest, tmp_path / "out.txt") == (tmp_path / "decoded.txt").read_bytes()


def test_the_student_and_its_model_alone_have_warnings_of_their_own(distilled: Path, tmp_path: Path) -> None:
    run = shutil.copytree(folder(distilled), tmp_path / "run")
    manifest = read_json(run / "manifest.json")
    assert manifest["members"] != manifest["members_alone"]
    for model, gains in ((run, "members"), (run / MODEL, "members_alone")):
        for f1 in (-0.25, 0.25):
            first = next(iter(manifest[gains]))
            manifest[gains][first]["f1"] = f1
            write_json(run / "manifest.json", manifest)
            behind = {name: -gain["f1"] for name, gain in manifest[gains].items() if gain["f1"] < 0}
            assert ahead_of(model) == behind
            assert (first in behind) == (f1 < 0)


def test_a_blend_without_an_n_gram_crf_has_a_student_of_one_model(contest: Path, taught: Path, tmp_path: Path) -> None:
    """It is of a trained member, whose own held-out answers teach its judge."""
    root = shutil.copytree(taught, tmp_path / "root", ignore=shutil.ignore_patterns("distil-*"))
    more = ("members=small", "distil.student=", "distil.corpus_lines=0")
    with in_process():
        for stage in ("train", "blend", "distil"):
            assert main([stage, *words(contest, root, *more)]) == 0
    require_judge(contest, root, ["small"], *more, "distil.student=small")
    sides = read_json(folder(root) / "manifest.json")["sides"]
    assert (sides["student"]["models"], sides["model alone"]["models"]) == (1, 1)
    assert not (folder(root) / "ngram_crf").exists()
    assert predicted(folder(root), contest, tmp_path / "out.txt") == (folder(root) / "answer.txt").read_bytes()


NEEDY = "ensemble.needy={family: ngram_crf, pseudo_labels: {teachers: [other], weight: 1}}"


@pytest.mark.parametrize(
    ("more", "judged"),
    [
        ([], ["other", "ngram_crf"]),
        (["distil.student=other"], ["other", "ngram_crf"]),
        (["distil.student=ngram_crf"], ["ngram_crf", "other"]),
        (["members=other", "distil.student=ngram_crf"], ["ngram_crf", "other"]),
        (["members=other"], ["other"]),
        (["members=small", "blend.runs=[OTHER, NGRAM_CRF]"], ["other"]),
        (["members=other", "blend.runs=[OTHER, NGRAM_CRF]"], ["other"]),
        (["members=ngram_crf", "blend.runs=[OTHER, NGRAM_CRF]"], ["other", "ngram_crf"]),
        (["members=ngram_crf,needy", NEEDY], ["needy", "ngram_crf"]),
        (["members=needy", NEEDY, "distil.student=other"], ["other"]),
    ],
)
def test_a_trained_member_stands_for_the_student_and_another_n_gram_crf_is_its_partner(
    contest: Path, taught: Path, tmp_path: Path, more: list[str], judged: list[str]
) -> None:
    """`small` is not trained; `other` is better than `ngram_crf` on fold 1, and `needy`, which needs another, best."""
    root = shutil.copytree(taught, tmp_path / "root", ignore=shutil.ignore_patterns("distil-*"))
    (other,), (crf,) = (root / "work").glob("other-*"), (root / "work").glob("ngram_crf-*")
    named = [word.replace("OTHER", other.name).replace("NGRAM_CRF", crf.name) for word in more]
    stages = Stages(load(words(contest, root, *named)))
    if "needy" in stages.settings.known:
        manifest = read_json(other / "manifest.json")
        manifest["folds"][1]["held_out"] |= {"hits": 9, "predicted": 9, "gold": 9}
        stages.train("needy").path.mkdir()
        write_json(stages.train("needy").path / "manifest.json", manifest)
    assert [run.path.name.rpartition("-")[0] for run in stages.judged] == judged
    assert stages.partner == (judged[1] if len(judged) > 1 else "")


def test_drawn_labels_teach_on_every_line(contest: Path, taught: Path, distilled: Path, tmp_path: Path) -> None:
    """No line is left out, however unsure, and the labels are not the most probable ones."""
    root = shutil.copytree(taught, tmp_path / "root", ignore=shutil.ignore_patterns("distil-*"))
    given = words(contest, root, "distil.draws=2", "distil.confidence=0", "distil.corpus_lines=1000000")
    with in_process():
        assert main(["distil", *given]) == 0
    labelled = read_json(folder(root) / "manifest.json")["labelled"]
    for name, sources in labelled.items():
        assert all(of["kept"] == of["offered"] > 0 for of in sources.values())
        assert sum(of["kept"] for of in sources.values()) * 2 == len(read_labelled(labels(root, name)))
    assert labelled["shipped"]["corpus"]["offered"] > 20
    drawn = read_labelled(labels(root, "shipped"))
    best = {line.tokens: line.gold for line in read_labelled(labels(distilled, "shipped"))}
    assert [line.tokens for line in drawn[::2]] == [line.tokens for line in drawn[1::2]]
    assert any(one.gold != other.gold for one, other in zip(drawn[::2], drawn[1::2], strict=True))
    assert any(best[line.tokens] != line.gold for line in drawn if line.tokens in best)
    trained = read_json(folder(root) / "shipped" / "result.json")["pseudo_labelled_lines"]
    assert trained == sum(of["kept"] for of in labelled["shipped"].values())


@pytest.mark.parametrize(("length", "times"), [(9, None), (1.5, 1.5)])
def test_a_student_of_a_planned_member_gets_updates_for_its_labelled_lines_too(
    contest: Path, taught: Path, tmp_path: Path, length: float, times: float | None
) -> None:
    """In proportion to the lines, or up to the limit; those planned, 8 a fold, are for gold lines alone."""
    root = shutil.copytree(taught, tmp_path / "root", ignore=shutil.ignore_patterns("distil-*"))
    given = words(contest, root, "ensemble.small.updates=[8,8]", f"distil.length={length}")
    with in_process():
        assert main(["distil", *given]) == 0
    for student, planned in (("scored", 8), ("shipped", 16)):
        result = read_json(folder(root) / student / "result.json")
        share = (result["training_lines"] + result["pseudo_labelled_lines"]) / result["training_lines"]
        assert result["updates"] == pytest.approx(planned * (times or share), rel=0.2)


class Killed(Exception):
    pass


def dying(after: int) -> Callable[..., None]:
    """Dies at a call."""
    calls: list[Any] = []

    def die(*told: Any) -> None:
        calls.append(told)
        if len(calls) == after:
            raise Killed

    return die


def test_cut_short_anywhere_and_continued_gives_the_same_bytes(contest: Path, taught: Path, distilled: Path) -> None:
    """While lines are labelled, in each training, before the judge is written, and before what came of it was."""
    given = words(contest, taught)
    write_pseudo_labels = distil.write_pseudo_labels
    with pytest.MonkeyPatch.context() as patch, in_process():
        die = dying(2)
        patch.setattr(distil, "write_pseudo_labels", lambda *given: die() or write_pseudo_labels(*given))
        with pytest.raises(Killed):
            main(["distil", *given])
    updates = -(-len(read_labelled(contest / "train.txt")) // 8)
    for after in (3, 3 * updates):
        with in_process(dying(after)), pytest.raises(Killed):
            main(["distil", *given])

    def die_in_a_crf(progress: Progress) -> None:
        if progress.unit == "it":
            raise Killed

    with in_process(die_in_a_crf), pytest.raises(Killed):
        main(["distil", *given])
    assert (folder(taught) / "shipped" / "result.json").exists()
    for name, judge in (("save_blend", False), ("measure", True)):
        with pytest.MonkeyPatch.context() as patch, in_process():
            patch.setattr(distil, name, dying(1))
            with pytest.raises(Killed):
                main(["distil", *given])
        assert (folder(taught) / FILE).exists() == judge
        assert not (folder(taught) / "manifest.json").exists()
    with in_process():
        assert main(["distil", *given]) == 0
    assert digests(taught) == digests(distilled)
    assert len([name for name in digests(taught) if name.endswith(".safetensors")]) >= 5


def test_a_student_of_another_family_learns_by_label(contest: Path, distilled: Path, tmp_path: Path) -> None:
    root = shutil.copytree(distilled, tmp_path / "root")
    given = words(contest, root, "distil.student=ngram_crf", "distil.corpus_lines=0")
    shutil.rmtree(folder(root))
    with in_process():
        assert main(["distil", *given]) == 0
    assert main(["predict", str(folder(root)), str(contest / "test.txt"), str(tmp_path / "out.txt")]) == 0
    assert (tmp_path / "out.txt").read_bytes() == (folder(root) / "answer.txt").read_bytes()
    assert read_json(folder(root) / "manifest.json")["labelled"]["shipped"]["corpus"]["offered"] == 0


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("distil.student=nobody", "distil.student: expected tagger or ngram_crf or soup or"),
        ("distil.student=needy", "distil.student: expected a member that needs no other's run, got 'needy'"),
        ("distil.student=soup", "distil.student: expected a member that needs no other's run, got 'soup'"),
        ("distil={student: ngram_crf, weight: 0.5}", "distil.weight: expected 1 with family ngram_crf"),
        ("distil={student: ngram_crf, draws: 2}", "distil.draws: expected 0 or 1 with family ngram_crf"),
        ("distil={test: false, corpus_lines: 0}", "distil.test: expected true, or distil.corpus_lines over 0"),
        ("distil.confidence=2", "distil.confidence: expected 0 to 1, got 2.0"),
        ("distil.weight=0", "distil.weight: expected over 0, at most 1"),
        ("distil.student=tagger", "expected the finished stage 'ngram_crf', got none; run: python -m daguan train "),
    ],
)
def test_what_cannot_be_distilled_is_refused(
    contest: Path, tmp_path: Path, taught: Path, capsys: pytest.CaptureFixture[str], word: str, message: str
) -> None:
    (tmp_path / "work").mkdir()
    (prepared,) = (taught / "work").glob("prepare-*")
    shutil.copytree(prepared, tmp_path / "work" / prepared.name)
    assert main(["distil", *words(contest, tmp_path, word)]) == 2
    assert message in capsys.readouterr().err
    assert not list((tmp_path / "work").glob("distil-*"))


@pytest.mark.parametrize("hits", [(0, 0), (9, 0), (0, 9), (9, 9)])
def test_the_lines_that_score_a_student_have_no_say_in_which_member_it_is(hits: tuple[int, int]) -> None:
    """Counts are added over the other folds: `two` has fewer hits than `one` in fold 1, and more in folds 1 and 2."""
    later = {"one": (7, 4), "two": (6, 8)}
    folds = {
        name: [{"held_out": {"hits": count, "predicted": 9, "gold": 9}} for count in (first, *others)]
        for first, (name, others) in zip(hits, later.items(), strict=True)
    }
    assert best_on_other_folds(folds) == "two"
    assert best_on_other_folds({name: of[:2] for name, of in folds.items()}) == "one"
    assert best_on_other_folds({"one": folds["two"], "two": folds["two"]}) == "one"
