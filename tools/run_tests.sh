#!/usr/bin/env bash
# Runs the tests: tools/run_tests.sh [--family official|onedl] [ARGUMENTS OF pytest]
# Paths start at the repository. Makes or completes a virtual environment with every
# task's packages; that compiles mmcv, a quarter of an hour on two cores, once. The
# environment is .venv (.venv-onedl for the onedl family), an active one, or CMID_VENV.
# Environment: CMID_GOLDEN (folder of golden files), CMID_DATA (folder of real images),
# CMID_VENV (folder of the environment), PYTHON (3.10 to 3.12, to make it with).

. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
help_if_requested "$@"
family=official rest=()
while [ $# -gt 0 ]; do
    case $1 in
        --family)
            [ $# -gt 1 ] || die '--family needs a value'
            set -- "$1=$2" "${@:3}"
            continue
            ;;
        --family=*) family=${1#*=} ;;
        *) rest+=("$1") ;;
    esac
    shift
done
for name in CMID_GOLDEN CMID_DATA; do
    if [ -n "${!name:-}" ]; then
        [ -d "${!name}" ] || die "$name is not a folder: ${!name}"
        export "$name=$(absolute "${!name}")"
    fi
done
use_environment "$family" tests
cd "$ROOT"
# a process a core, at most four (a process can take 6 GiB); -n 0 runs all in one
cores=$(getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec python -m pytest -n "$((cores < 4 ? cores : 4))" --dist loadfile "${rest[@]}"
