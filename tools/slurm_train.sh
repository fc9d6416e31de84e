#!/usr/bin/env bash
# Trains under Slurm: tools/slurm_train.sh PARTITION JOB CONFIG WORK_DIR [OPTIONS OF train.py]
# Environment: GPUS (8) GPUS_PER_NODE (8, or GPUS where fewer) CPUS_PER_TASK (5) SRUN_ARGS PYTHON.

. "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"
help_if_requested "$@"
[ $# -ge 4 ] || die 'expected PARTITION JOB CONFIG WORK_DIR (-h shows the help)'
[ -f "$3" ] || die "no such config: $3"
launch_on_slurm "$1" "$2" "$TOOLS/train.py" "$3" --work-dir "$4" "${@:5}"
