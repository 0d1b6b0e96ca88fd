#!/usr/bin/env bash
# Checks daguan on one GPU, in at most eight minutes, or on a CPU with small sizes; prints one JSON object last. It needs no
# network and takes the environment as it is, .venv or another that PYTHON names. Wheels of packages that are missing there
# may lie in a folder `wheels`; they are installed beside the environment and not into it.
set -euo pipefail
root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root"
python=${PYTHON:-$(ls .venv/bin/python 2>/dev/null || command -v python3)}
export PYTHONPATH="$root/src:${PYTHONPATH:-}"
if compgen -G "wheels/*.whl" >/dev/null; then
    site=$(mktemp -d)
    "$python" -m pip install --quiet --no-index --no-deps --no-compile --target "$site" wheels/*.whl
    export PYTHONPATH="$site:$PYTHONPATH"
fi
"$python" - <<'PYTHON'
import sys
from importlib.util import find_spec

needed = {"torch": "torch", "transformers": "transformers", "safetensors": "safetensors", "numpy": "numpy"}
needed |= {"scipy": "scipy", "sklearn": "scikit-learn", "threadpoolctl": "threadpoolctl", "pandas": "pandas"}
needed |= {"filelock": "filelock", "yaml": "PyYAML", "typer": "typer", "rich": "rich", "packaging": "packaging"}
needed |= {"pydantic": "pydantic", "torchcrf": "pytorch-crf", "pytest": "pytest", "hypothesis": "hypothesis"}
missing = [package for module, package in needed.items() if find_spec(module) is None]
if missing:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    sys.exit(
        f"gpu_check: expected the packages {', '.join(missing)}, got none; install them, or where there is a network run "
        f"`pip download --only-binary=:all: --python-version {version} --platform manylinux2014_x86_64 -d wheels {' '.join(missing)}` "
        "and bring the folder wheels"
    )
PYTHON
exec "$python" -m benchmarks.gpu_check --json "$@"
