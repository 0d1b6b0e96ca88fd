#!/usr/bin/env bash
# All checks: lint, types, tests, and the smoke pipeline end to end with the shell a user has.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$root"
export OMP_WAIT_POLICY=passive

"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
# files in their own order, as reordered ones would end with the longest tests, which are alone in theirs; -rs names the
# skipped tests, such as those of an extra that is not installed
"$python" -m pytest -n auto --dist loadfile --no-loadscope-reorder -rs "$@"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bash scripts/run_all.sh configs/smoke.yaml data.work="$scratch/work" data.submissions="$scratch/submissions"
echo "all checks passed"
