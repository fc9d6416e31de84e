#!/usr/bin/env bash
# Tests under Slurm: tools/slurm_test.sh PARTITION JOB CONFIG CHECKPOINT [OPTIONS OF test.py]
# Environment: GPUS (8) GPUS_PER_NODE (8, or GPUS where fewer) CPUS_PER_TASK (5) SRUN_ARGS PYTHON.

set -euo pipefail
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$TOOLS/environment.sh"

if wants_help "$@"; then
    usage
    exit
fi
[ $# -ge 4 ] || die 'expected PARTITION JOB CONFIG CHECKPOINT (-h shows the help)'
[ -f "$3" ] || die "no such config: $3"
launch_on_slurm "$1" "$2" "$TOOLS/test.py" "$3" "$4" "${@:5}"
