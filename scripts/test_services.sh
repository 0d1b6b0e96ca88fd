#!/usr/bin/env bash
# The tests that need a real server, cluster or browser. This installs into .venv PostgreSQL, Ray, a proxy, what the service of
# an exported model needs, Playwright and axe-core, and Chromium where there is none. `scripts/test.sh` names and skips those for
# which something is not there. The tests of a Ray cluster take minutes: they are named and left out, unless DAGUAN_SERVICES=all.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$root"
"$python" -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt -r examples/requirements.txt
missing=$(for name in chromium npm; do command -v "$name" >/dev/null || echo "$name"; done)
if [ -n "$missing" ]; then
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $missing >/dev/null
fi
npm install --silent --no-audit --no-fund --prefix "$root/.venv" axe-core@4.14.1
DAGUAN_SERVICES=${DAGUAN_SERVICES:-here} "$python" -m pytest -m services -rs "$@"
