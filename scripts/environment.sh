# Sourced by the other scripts: makes .venv from requirements.txt unless it satisfies them already; sets $root, $python.
root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
python=$root/.venv/bin/python
export PYTHONPATH=$root/src${PYTHONPATH:+:$PYTHONPATH}

is_python_311() {
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in python3.11 python3 python; do
        if is_python_311 "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "environment: expected Python 3.11 on the PATH, got none" >&2
    return 2
}

satisfied() {
    is_python_311 "$python" && "$python" - "$root/requirements.txt" <<'PYTHON'
import sys
from importlib import metadata
from pathlib import Path

for line in Path(sys.argv[1]).read_text("utf-8").splitlines():
    if pin := line.partition("#")[0].strip():
        name, _, wanted = pin.partition("==")
        try:
            if metadata.version(name).partition("+")[0] != wanted:
                sys.exit(1)
        except metadata.PackageNotFoundError:
            sys.exit(1)
PYTHON
}

if ! satisfied; then
    echo "environment: installing requirements.txt into .venv" >&2
    if ! is_python_311 "$python" || ! "$python" -m pip --version >/dev/null 2>&1; then # none, or half-made
        base=$(find_python)
        "$base" -m venv --clear "$root/.venv"
    fi
    "$python" -m pip install --quiet --disable-pip-version-check -r "$root/requirements.txt"
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps -e "$root"
fi
