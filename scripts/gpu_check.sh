#!/usr/bin/env bash
# Checks daguan on one GPU, in at most eight minutes, or on a CPU with small sizes; prints one JSON object last. It takes
# the environment as it is, .venv or another that PYTHON names, with torch, transformers, pytorch-crf, pytest and perhaps
# accelerate; and no network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="src:${PYTHONPATH:-}"
python=${PYTHON:-$(ls .venv/bin/python 2>/dev/null || command -v python3)}
exec "$python" -m benchmarks.gpu_check --json "$@"
