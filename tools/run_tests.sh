#!/usr/bin/env bash
# Runs the tests: tools/run_tests.sh [--family official|onedl] [ARGUMENTS OF pytest]
# Paths start at the repository. Makes or completes a virtual environment with every
# task's packages; that compiles mmcv, a quarter of an hour on two cores, once. The
# environment is .venv (.venv-onedl for the onedl family), an active one, or CMID_VENV.
# Environment: CMID_GOLDEN (folder of golden files), CMID_DATA (folder of real images),
# CMID_VENV (folder of the environment), PYTHON (3.10 to 3.12, to make it with).

set -euo pipefail
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$TOOLS/environment.sh"

if wants_help "$@"; then
    usage
    exit
fi
take_option family official "$@"
use_family "$VALUE"
for name in CMID_GOLDEN CMID_DATA; do
    if [ -n "${!name:-}" ]; then
        [ -d "${!name}" ] || die "$name is not a folder: ${!name}"
        export "$name=$(absolute "${!name}")"
    fi
done
use_environment tests
cd "$CMID_ROOT"
exec python -m pytest ${REST[@]+"${REST[@]}"}
