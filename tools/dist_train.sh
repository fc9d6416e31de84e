#!/usr/bin/env bash
# Trains with several processes: tools/dist_train.sh CONFIG GPUS [OPTIONS OF train.py]
# One process per GPU; on a machine without a GPU that many processes on the CPU.
# Environment: NNODES NODE_RANK PORT MASTER_ADDR (several machines), PYTHON.

. "$(dirname "${BASH_SOURCE[0]}")/_launch.sh"
help_if_requested "$@"
[ $# -ge 2 ] || die 'expected CONFIG GPUS (-h shows the help)'
[ -f "$1" ] || die "no such config: $1"
launch_processes "$2" "$TOOLS/train.py" "$1" "${@:3}"
