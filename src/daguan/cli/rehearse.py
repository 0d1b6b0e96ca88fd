"""The command `rehearse`."""

from __future__ import annotations

from daguan.cli.options import AcceptCode, Csv, Json, Words, configuration, print_json, write_csv
from daguan.cli.tables.scores import print_blend


def main(words: Words, accept_code: AcceptCode = False, csv: Csv = None, as_json: Json = False) -> None:
    """Play the contest on hidden training lines, to test `plan`.

    rehearse.share of the training lines become a test file without labels, and the ordinary stages train on the rest.
    Each member and the blend, of this configuration and of rehearse.configs, is a candidate. Then `plan` sends
    plan.submissions a day for rehearse.days, learns their scores on a public board, and chooses two. Their score on the
    private board, the other hidden lines, is printed beside that of other ways of choosing.

    At last what `report` would advise is done for every configuration, as far as nothing is to be trained: a member is
    left out, or taken from another configuration, as one more or in place of its namesake of fewer updates. The span F1
    that this gives on the hidden lines is printed beside that of such a step drawn at random.
    """
    from daguan.cli.tables.plan import print_advice, print_rehearsal
    from daguan.pipeline import rehearse
    from daguan.report.rehearsed import followed

    found = rehearse.make(configuration(words, accept_code))
    outcome = found.played.manifest()["outcome"] | {"steps": followed(found)}
    write_csv(csv, "named", outcome["candidates"])
    if as_json:
        print_json({"rehearsal": str(found.played.path), **outcome})
        return
    for stages in found.trained:
        print_blend(stages.answer.manifest(), stages.families)
    print_rehearsal(outcome)
    print_advice(outcome["steps"])
    print(f"rehearsal: {found.played.path}")
