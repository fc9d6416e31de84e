#!/usr/bin/env bash
# Tests with several processes: tools/dist_test.sh CONFIG CHECKPOINT GPUS [OPTIONS OF test.py]
# One process per GPU; on a machine without a GPU that many processes on the CPU.
# Environment: NNODES NODE_RANK PORT MASTER_ADDR (several machines), PYTHON.

. "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"
help_if_requested "$@"
[ $# -ge 3 ] || die 'expected CONFIG CHECKPOINT GPUS (-h shows the help)'
[ -f "$1" ] || die "no such config: $1"
launch_processes "$3" "$TOOLS/test.py" "$1" "$2" "${@:4}"
