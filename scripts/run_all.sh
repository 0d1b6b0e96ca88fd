#!/usr/bin/env bash
# From raw files to a checked submission: bash scripts/run_all.sh [CONFIG.yaml] [key=value …]
# A preset with budget.minutes plans itself in `prepare`; `score` says at the end how many of them were used.
# Without arguments: the built-in contest with configs/small.yaml. Your own: data.dir=FOLDER.
# Every stage skips what is done and continues what was cut short.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

"$python" -m daguan prepare  "$@"   # contest, data report, folds, vocabulary, token file
"$python" -m daguan pretrain "$@"   # an encoder from all the text
"$python" -m daguan train    "$@"   # every member through the folds, on all cores
"$python" -m daguan blend    "$@"   # one answer of all members, scored out of fold
"$python" -m daguan submit   "$@"   # through the gate into submissions/
"$python" -m daguan score    "$@"   # the final table, the submission and its scores
