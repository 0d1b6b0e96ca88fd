#!/usr/bin/env bash
# From raw files to a checked submission: bash scripts/run_all.sh [CONFIG] [key=value …]
# Without arguments: the built-in contest with configs/small.yaml. Your own: data.dir=FOLDER.
# It skips what is done and continues what was cut short. A preset with budget.minutes trains what the minutes pay for.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

"$python" -m daguan run "$@"  # prepare, pretrain, train, blend, submit and score; each is a command of its own too
"$python" -m daguan report "$@"  # one page of what came out
