# Sourced by the other scripts: makes .venv from requirements.txt unless it satisfies them already; sets $python.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=$root/.venv/bin/python

find_python() {
    local candidate
    for candidate in python3.11 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "environment: expected Python 3.11 on the PATH, got none" >&2
    return 2
}

satisfied() {
    [ -x "$python" ] && "$python" - "$root" <<'PYTHON'
import sys
from importlib import metadata, util
from pathlib import Path

root = Path(sys.argv[1])
for line in (root / "requirements.txt").read_text("utf-8").splitlines():
    if pin := line.partition("#")[0].strip():
        name, _, wanted = pin.partition("==")
        try:
            if metadata.version(name).partition("+")[0] != wanted:
                sys.exit(1)
        except metadata.PackageNotFoundError:
            sys.exit(1)
found = util.find_spec("daguan")
sys.exit(not (found and found.origin and Path(found.origin).is_relative_to(root / "src")))
PYTHON
}

if ! satisfied; then
    echo "environment: installing requirements.txt into .venv" >&2
    [ -x "$python" ] || "$(find_python)" -m venv "$root/.venv"
    "$python" -m pip install --quiet --disable-pip-version-check -r "$root/requirements.txt"
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps -e "$root"
fi
