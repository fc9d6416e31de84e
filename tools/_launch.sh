# Functions of dist_*.sh and slurm_*.sh; sourced by them, not run.
# shellcheck shell=bash

. "$(dirname "${BASH_SOURCE[0]}")/_common.sh"

# launcher_python: prints PYTHON, else the Python on PATH where it has mmengine, else that of
# an environment which quickstart.sh made, the official family first.
launcher_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python ${CMID_VENV:+"$CMID_VENV/bin/python"} \
        "$ROOT"/.venv{,-onedl}/bin/python; do
        if "$candidate" -c 'import importlib.util, sys
sys.exit(importlib.util.find_spec("mmengine") is None)' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die 'no Python with mmengine was found; activate your environment, name its Python with' \
        'PYTHON=..., or create one with tools/quickstart.sh'
}

free_port() {
    "$1" -c 'import socket
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])'
}

# launch_processes PROCESSES SCRIPT [ARGUMENTS]: starts one process per GPU of this machine, or
# that many on the CPU. NNODES, NODE_RANK, MASTER_ADDR and PORT as for torchrun; on one
# machine PORT defaults to a free one.
launch_processes() {
    local processes=$1 python cores port
    shift
    case $processes in
        '' | 0 | *[!0-9]*) die "the number of GPUs must be a positive number, not '$processes'" ;;
    esac
    python=$(launcher_python)
    if [ "${NNODES:-1}" = 1 ]; then
        port=${PORT:-$(free_port "$python")}
    else
        port=${PORT:-29500}
    fi
    cores=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
    : "${OMP_NUM_THREADS:=$((cores > processes ? cores / processes : 1))}"
    export OMP_NUM_THREADS
    exec "$python" -m torch.distributed.run --nnodes="${NNODES:-1}" \
        --node-rank="${NODE_RANK:-0}" --master-addr="${MASTER_ADDR:-127.0.0.1}" \
        --master-port="$port" --nproc-per-node="$processes" "$@" --launcher pytorch
}

# launch_on_slurm PARTITION JOB SCRIPT [ARGUMENTS]; SRUN_ARGS is split into words.
launch_on_slurm() {
    local partition=$1 job=$2 gpus=${GPUS:-8} per_node python
    shift 2
    command -v srun >/dev/null || die 'srun was not found: this script needs Slurm'
    per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
    python=$(launcher_python)
    # shellcheck disable=SC2086
    exec srun -p "$partition" --job-name="$job" --gres=gpu:"$per_node" --ntasks="$gpus" \
        --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 ${SRUN_ARGS:-} "$python" -u "$@" --launcher slurm
}
