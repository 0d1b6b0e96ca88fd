#!/usr/bin/env bash
# Checks daguan on one GPU, in at most eight minutes, or on a CPU with small sizes; prints one JSON object last. It takes
# the environment as it is (PYTHON names one): torch, transformers, accelerate, pytorch-crf and pytest, and no network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="src:${PYTHONPATH:-}"
exec "${PYTHON:-python3}" -m benchmarks.gpu_check --json "$@"
