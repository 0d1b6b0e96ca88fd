"""The command `tune`."""

from __future__ import annotations

from daguan.cli.options import AcceptCode, Csv, Json, Words, configuration, print_json, write_csv


def main(words: Words, accept_code: AcceptCode = False, csv: Csv = None, as_json: Json = False) -> None:
    """Search a space of settings by trials, several at a time.

    The space is tune.space; the best configuration becomes a preset. Its score is the best of many on the same lines,
    so it is also scored on the folds that no trial was scored on. The study's folder, work/tune-KEY, holds report.html
    and study.md with all tables and plots, trials.json, best.yaml, which every command takes, and a folder for each
    trial. The same command continues a study. Several of the same command at once, on one machine or, with
    tune.storage, on several, work on one study.
    """
    from daguan.cli.tables.study import print_study, study_record, write_study
    from daguan.core.files import write_text
    from daguan.core.progress import say
    from daguan.core.runs import folder_lock
    from daguan.pipeline import tune
    from daguan.pipeline.budget.plan import load
    from daguan.pipeline.tuning.optuna_study import importances
    from daguan.report.page import FILE
    from daguan.report.study_page import study_page

    settings = load(configuration(words, accept_code))
    study = tune.make(settings)
    score = tune.score_best(study, settings)
    with folder_lock(study.folder, wait=True):  # the last of several processes writes the complete report
        trials = study.trials()
        shares = importances(study.space, trials)
        write_study(study.folder, trials, shares, score)
        page = study_page(study, trials, configuration(words, accept_code), score.f1 if score else None)
        write_text(study.folder / FILE, page.html())
        if best := tune.write_best(study, settings):
            say(f"tune: the best is trial {best.index}; python -m daguan train {study.folder / tune.BEST}")
    write_csv(csv, "trials", trials)
    if as_json:
        print_json({"study": str(study.folder), **study_record(trials, shares, score)})
    else:
        print_study(trials, shares, score)
