#!/usr/bin/env bash
# The package as a user gets it: a wheel in a clean environment, the README's lines of Python and the notebook; exported models
# in environments with only the packages that they need, before the wheel is there; and what needs no torch also on other
# Pythons from 3.12 on, where there are any.
set -euo pipefail
root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
python=${PYTHON:-$root/.venv/bin/python} # one that makes the clean environment
unset PYTHONPATH
export PIP_NO_COMPILE=1 # most modules of torch and its neighbours are never imported
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
part() { echo "package: $1 (after $SECONDS s)"; }
pip_install() {
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$root/requirements.txt" "${@:2}"
}

"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$scratch/dist" "$root"
wheel=$(echo "$scratch"/dist/daguan-*.whl)
"$python" -m venv "$scratch/venv"
"$python" -m venv "$scratch/onnx"

part "exported models where only their packages are"
pip_install "$scratch/venv" torch transformers safetensors
pip_install "$scratch/onnx" numpy onnxruntime tokenizers
here() { PYTHONPATH=$root/src:$root/tests "$python" "$@"; }
here -c 'import sys
from pathlib import Path
from exported_models import judged, judged_lines
judged(Path(sys.argv[1]), "modern", "crf")
print(*map("_".join, judged_lines() * 9), sep="\n")' "$scratch/student" >"$scratch/tokens.txt"
here -c 'import sys
from pathlib import Path
from exported_models import piece_lines, stored_pieces
stored_pieces(Path(sys.argv[1]), "bert", "crf", "mean")
lines = ([word for word in line if word.isprintable()] for line in piece_lines()[::-1])
print(*("_".join(line) for line in lines if line), sep="\n")' "$scratch/public" >"$scratch/words.txt"
for kind in tokens words; do # a student with its judge, and a public encoder with its tokenizer
    model=$([ $kind = tokens ] && echo "$scratch/student" || echo "$scratch/public")
    here -m daguan predict "$model" "$scratch/$kind.txt" "$scratch/$kind" engine.device=cpu engine.precision=float32
    here -m daguan export "$model" "$scratch/${kind}_hf" --to hf
    here -m daguan export "$model" "$scratch/${kind}_onnx" --to onnx
    "$scratch/venv/bin/python" "$root/scripts/check_export.py" "$scratch/${kind}_hf" "$scratch/$kind"
    "$scratch/onnx/bin/python" "$root/scripts/check_export.py" "$scratch/${kind}_onnx" "$scratch/$kind"
done

pip_install "$scratch/venv" "$wheel" nbclient ipykernel
export PATH="$scratch/venv/bin:$PATH"
mkdir "$scratch/here"
cd "$scratch/here"

part "the command"
daguan --help | grep "Usage: daguan" >/dev/null
test "$(daguan --version)" = "$(python -m daguan --version)"
daguan settings cpu_1h | grep '^name: "cpu_1h"' >/dev/null
python -c 'import daguan, sys; from pathlib import Path; sys.exit(not (Path(daguan.__file__).parent / "py.typed").is_file())'

part "the notebook"
python "$root/scripts/run_notebook.py" "$root/examples/quickstart.ipynb"

part "the README's lines of Python"
contest=$(echo data/people_daily-train1000-*)
mkdir FOLDER
for name in train groups test; do # as small as a contest may be, so that 20 minutes are more than it can use
    head -n 24 "$contest/$name.txt" >"FOLDER/$name.txt"
done
sed -n '/^```python$/,/^```$/p' "$root/README.md" | sed '1d;$d' >lines.py
python lines.py | tee lines.out
grep -q "'by_type'" lines.out
model=$(ls -d data/work/blend-* | head -n 1)
test "$(head -n 5 FOLDER/test.txt | daguan predict "$model" - --format json | grep -c '"tokens"')" = 5

for other in $(ls "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[23].*/bin/python 2>/dev/null || command -v python3.12 python3.13 || true); do
    version=$("$other" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    part "what needs no torch on Python $version"
    "$other" -m venv "$scratch/$version"
    pip_install "$scratch/$version" numpy pydantic typer PyYAML safetensors filelock rich
    pip_install "$scratch/$version" --no-deps "$wheel"
    "$scratch/$version/bin/python" -c 'import daguan; assert daguan.score([[(0, 1, "a")]], [(["7"], [(0, 1, "a")])])["span"]["f1"] == 1'
    "$scratch/$version/bin/daguan" score "$contest/test_gold.txt" "$contest/test_gold.txt" >/dev/null
done
echo "the package works ($SECONDS s)"
