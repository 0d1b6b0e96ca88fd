#!/usr/bin/env bash
# The tests that need a real server, which this installs into .venv: PostgreSQL, a proxy, and the service of an exported model.
# `scripts/test.sh` skips those whose server is not there.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$root"
"$python" -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt -r examples/requirements.txt
DAGUAN_SERVICES=here "$python" -m pytest -m services "$@"
