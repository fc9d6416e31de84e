# Shell functions that the scripts of this folder share; sourced by them, not run.
# They use: CMID_VENV (folder of the virtual environment), PYTHON (the Python to make it
# with), CMID_HEARTBEAT (seconds between two signs of life without a terminal).
# shellcheck shell=bash

CMID_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die() {
    printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2
    exit 2
}

# The comment at the head of the calling script is its help.
usage() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}

wants_help() {
    local argument
    for argument; do
        case $argument in -h | --help) return 0 ;; esac
    done
    return 1
}

elapsed() {
    printf '%02d:%02d:%02d' $((SECONDS / 3600)) $((SECONDS / 60 % 60)) $((SECONDS % 60))
}

absolute() {
    case $1 in /*) printf '%s\n' "$1" ;; *) printf '%s/%s\n' "$PWD" "$1" ;; esac
}

# take_option NAME DEFAULT ARGUMENTS...: sets VALUE to what --NAME asks for and REST to
# the other arguments. Expand REST as ${REST[@]+"${REST[@]}"}: older shells call an empty
# list unset.
take_option() {
    local name=$1
    VALUE=$2 REST=()
    shift 2
    while [ $# -gt 0 ]; do
        case $1 in
            "--$name")
                [ $# -gt 1 ] || die "--$name needs a value"
                VALUE=$2
                shift
                ;;
            "--$name="*) VALUE=${1#*=} ;;
            *) REST+=("$1") ;;
        esac
        shift
    done
}

# ---------------------------------------------------------------- families

# use_family official|onedl: the mm packages exist under two families of distribution
# names; MM is what those of the family begin with.
use_family() {
    FAMILY=$1
    case $FAMILY in
        official) MM='' ;;
        onedl) MM='onedl-' ;;
        *) die "no such family: '$FAMILY'; the families are official and onedl" ;;
    esac
}

other_family() {
    if [ "$FAMILY" = official ]; then echo onedl; else echo official; fi
}

use_family official

# ---------------------------------------------------------------- the environment

# One folder for each family: they own the same folders and cannot live together.
environment_folder() {
    local default="$CMID_ROOT/.venv"
    [ "$FAMILY" = official ] || default="$default-$FAMILY"
    absolute "${CMID_VENV:-${VIRTUAL_ENV:-$default}}"
}

suitable_python() {
    "$1" -c 'import sys, venv, ensurepip
sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1
}

choose_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        suitable_python "$PYTHON" ||
            die "PYTHON=$PYTHON is not a Python 3.10, 3.11 or 3.12 with the venv module"
        printf '%s\n' "$PYTHON"
        return
    fi
    for candidate in python3 python3.11 python3.12 python3.10 python; do
        if suitable_python "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die 'no Python 3.10, 3.11 or 3.12 with the venv module was found; install one (on' \
        'Debian and Ubuntu: python3 and python3-venv) or name one with PYTHON=...'
}

# Requirement files of a set, in the order in which they are installed.
requirement_files() {
    local files="build.txt common.txt $FAMILY/base.txt"
    case $1 in
        pretrain) echo "$files $FAMILY/pretrain.txt" ;;
        tasks) echo "$files $FAMILY/tasks.txt" ;;
        tests) echo "$files $FAMILY/tasks.txt tests.txt" ;;
        *) die "no such set of requirements: $1" ;;
    esac
}

requirements_stamp() {
    local files
    read -r -a files <<<"$(requirement_files "$1")"
    (cd "$CMID_ROOT/requirements" && cat "${files[@]}" | cksum)
}

has_stamp() {
    [ -f "$VENV/.cmid-$1" ] && [ "$(cat "$VENV/.cmid-$1")" = "$(requirements_stamp "$1")" ]
}

# Every set includes those before it: pretrain, tasks, tests.
environment_is_ready() {
    [ -x "$VENV/bin/python" ] || return 1
    has_stamp tests && return
    [ "$1" = tests ] && return 1
    has_stamp tasks && return
    [ "$1" = pretrain ] && has_stamp pretrain
}

# use_environment pretrain|tasks|tests: makes or completes the environment of the family,
# then activates it.
use_environment() {
    VENV=$(environment_folder)
    if ! environment_is_ready "$1"; then
        install_environment "$1"
    fi
    export VIRTUAL_ENV="$VENV" PATH="$VENV/bin:$PATH"
    unset PYTHONHOME
}

# ---------------------------------------------------------------- installing

install_environment() {
    local set=$1 compile='' python='' modules='cmid_mm'
    STEP=0 LOG="$VENV/cmid-install.log"
    case $set in pretrain) STEPS=6 ;; tasks) STEPS=7 ;; tests) STEPS=8 ;; esac
    if [ -x "$VENV/bin/python" ]; then
        suitable_python "$VENV/bin/python" ||
            die "the environment $VENV has no Python 3.10, 3.11 or 3.12; set CMID_VENV" \
                'to another folder'
        refuse_other_family
    else
        if [ -d "$VENV" ] && [ ! -f "$VENV/pyvenv.cfg" ] && [ -n "$(ls -A "$VENV")" ]; then
            die "$VENV is not a virtual environment; set CMID_VENV to another folder"
        fi
        python=$(choose_python)
    fi
    if [ "$set" != pretrain ] && ! has_compiled_mmcv; then
        compile=yes
        refuse_missing_compiler "${python:-$VENV/bin/python}"
    fi

    printf 'Setting up %s (once; log: %s)\n' "$VENV" "$LOG"
    if [ "$set" = pretrain ]; then
        say_what_pretraining_needs
    fi
    mkdir -p "$VENV"
    : >"$LOG"
    rm -f "$VENV"/.cmid-{pretrain,tasks,tests}

    if [ -n "$python" ]; then
        step "making the environment with $("$python" -V 2>&1)" \
            "check that '$python -m venv' works" "$python" -m venv "$VENV"
    else
        step "using the environment with $("$VENV/bin/python" -V 2>&1)" '' true
    fi
    step 'installing build tools' "$PIP_CURE" pip_install -r build.txt
    step "installing torch $(pin torch), torchvision $(pin torchvision)" "$PIP_CURE" \
        pip_install -c common.txt torch torchvision
    step "installing $(pins base.txt) and what they use" "$PIP_CURE" \
        pip_install -r "$FAMILY/base.txt"
    if [ -n "$compile" ]; then
        step "installing $(pins tasks.txt mmcv): a quarter of an hour of compiling, the first time" \
            "$COMPILE_CURE" compile_mmcv
    elif has_compiled_mmcv; then
        step "$(pins tasks.txt mmcv) is there already" '' true
    else
        step "installing $(pins pretrain.txt)$(without_operators)" "$PIP_CURE" install_light_mmcv
    fi
    if [ "$set" != pretrain ]; then
        modules='cmid_mm, mmseg.models, mmdet.models'
        [ "$FAMILY" = official ] || modules="$modules, mmrotate.models"
        step "installing $(pins tasks.txt 'mm[sdr][a-z]*')" "$PIP_CURE" \
            pip_install -r "$FAMILY/tasks.txt"
    fi
    if [ "$set" = tests ]; then
        step 'installing pytest' "$PIP_CURE" pip_install -r tests.txt
    fi
    step 'checking that everything imports' \
        "remove $VENV and run the same command again" check_imports "$modules"
    requirements_stamp "$set" >"$VENV/.cmid-$set"
    printf 'The environment is ready after %s.\n' "$(elapsed)"
}

PIP_CURE="check the network and pip's configuration (pip config list), then run the same \
command again: finished steps are kept"
COMPILE_CURE='with little memory compile fewer files at a time: MAX_JOBS=1, then the same command again'

pip_install() {
    (cd "$CMID_ROOT/requirements" && "$VENV/bin/python" -m pip install --no-input "$@")
}

# Version that the requirement files pin for a distribution.
pin() {
    (cd "$CMID_ROOT/requirements" && sed -n "s/^$1==//p" common.txt "$FAMILY"/*.txt | head -n 1)
}

# pins FILE [PATTERN]: the distributions of the family that the file itself pins, with
# their versions: "mmengine 0.10.7, mmpretrain 1.2.0".
pins() {
    sed -n "s/^\($MM${2:-mm[a-z-]*}\)==\(.*\)/\1 \2/p" \
        "$CMID_ROOT/requirements/$FAMILY/$1" | paste -s -d , - | sed 's/,/, /g'
}

has_compiled_mmcv() {
    [ -x "$VENV/bin/python" ] && "$VENV/bin/python" -c "import mmcv
from mmcv.utils import ext_loader
ext_loader.load_ext('_ext', ['nms'])
assert mmcv.__version__ == '$(pin "${MM}mmcv")'" >/dev/null 2>&1
}

say_what_pretraining_needs() {
    if [ "$FAMILY" = official ]; then
        printf '%s\n' 'Pre-training needs no compiled operator, so mmcv-lite is enough. The full mmcv'
    else
        printf '%s\n' 'Pre-training needs no compiled operator. There is no onedl-mmcv-lite, so onedl-mmcv' \
            'is built without its operators, which takes a moment. The one with operators'
    fi
    printf '%s\n' \
        'replaces it when a task or the tests need it: a quarter of an hour of compiling, once.'
}

without_operators() {
    [ "$FAMILY" = official ] || printf ', without operators'
}

# The builds of mmcv own one folder: what removes one after the other was installed leaves
# a wreck, so all go before any comes.
remove_mmcv() {
    if [ "$FAMILY" = official ]; then
        "$VENV/bin/python" -m pip uninstall -y mmcv mmcv-lite
    else
        "$VENV/bin/python" -m pip uninstall -y onedl-mmcv
    fi
}

install_light_mmcv() {
    remove_mmcv || return
    if [ "$FAMILY" = onedl ]; then
        # pip builds in isolation, where there is no torch, and so without operators;
        # without the cache, from which a later build with operators would take this one
        pip_install --no-cache-dir --no-deps "onedl-mmcv==$(pin onedl-mmcv)" || return
    fi
    pip_install -r "$FAMILY/pretrain.txt"
}

# A subshell: its exports are for the build only.
compile_mmcv() (
    mmcv="${MM}mmcv"
    # With a GPU but no CUDA compiler mmcv's build would stop: the operators for the CPU
    # are what can be built then.
    if ! command -v nvcc && [ ! -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ]; then
        export CUDA_VISIBLE_DEVICES=''
    fi
    export MMCV_WITH_OPS=1
    remove_mmcv || exit
    pip_install -v --no-build-isolation "$mmcv==$(pin "$mmcv")" || exit
    if ! has_compiled_mmcv; then
        # pip keeps wheels by name and version only: this one was built for another torch,
        # or without operators
        pip_install -v --no-build-isolation --no-deps --force-reinstall --no-cache-dir \
            --no-binary "$mmcv" "$mmcv==$(pin "$mmcv")"
    fi
)

# check_imports MODULES: cmid_mm first, it prepares what the others need.
check_imports() {
    (cd "$CMID_ROOT" && "$VENV/bin/python" -c "import $1")
}

refuse_other_family() {
    "$VENV/bin/python" -c 'import runpy, sys
names = runpy.run_path(sys.argv[1])["installed_distributions"]()
sys.exit(any(name.startswith("onedl-") != (sys.argv[2] == "onedl") for name in names))' \
        "$CMID_ROOT/cmid_mm/environment.py" "$FAMILY" ||
        die "$VENV holds the $(other_family) family of the mm packages, which cannot live" \
            "beside the $FAMILY one; set CMID_VENV to another folder, or use it with" \
            "--family $(other_family)"
}

refuse_missing_compiler() {
    command -v "${CXX:-c++}" >/dev/null ||
        die 'the full mmcv has to be compiled and there is no C++ compiler; install one (on' \
            'Debian and Ubuntu: build-essential) or name one with CXX=...'
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
        die "the full mmcv has to be compiled and $1 lacks its C headers; install them (on" \
            'Debian and Ubuntu: python3-dev) or name another Python with PYTHON=...'
}

# step LABEL CURE COMMAND...: runs one step, says that it goes on, and shows the end of
# the log and the cure where it fails.
step() {
    local label=$1 cure=$2 beat status=0
    shift 2
    STEP=$((STEP + 1))
    printf '[ %d/%d  %s] %s ...\n' "$STEP" "$STEPS" "$(elapsed)" "$label"
    printf '\n=== %s\n' "$label" >>"$LOG"
    heartbeat &
    beat=$!
    # shellcheck disable=SC2064
    trap "kill $beat 2>/dev/null || true" EXIT
    "$@" >>"$LOG" 2>&1 </dev/null || status=$?
    kill "$beat" 2>/dev/null || true
    wait "$beat" 2>/dev/null || true
    trap - EXIT
    if [ -t 1 ]; then
        printf '\r\033[K'
    fi
    if [ "$status" -ne 0 ]; then
        tail -n 15 "$LOG" >&2
        die "step $STEP of $STEPS failed ($label); the end of $LOG is above. Cure: $cure"
    fi
}

# Signs of life of the running step: every second on a terminal, in one line that is
# written over; else a line a minute.
heartbeat() {
    local pause=${CMID_HEARTBEAT:-60} last=$SECONDS counter line
    # the pause must not hold on to a pipe that the script writes to
    while sleep 1 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        if [ ! -t 1 ] && [ $((SECONDS - last)) -lt "$pause" ]; then
            continue
        fi
        last=$SECONDS
        counter=$(tail -c 20000 "$LOG" | grep -oE '\[[0-9]+/[0-9]+\]' | tail -n 1) || true
        line="[ $STEP/$STEPS  $(elapsed)] still at it${counter:+, file ${counter//[][]/}}"
        if [ -t 1 ]; then
            printf '\r%s\033[K' "$line"
        else
            printf '%s\n' "$line"
        fi
    done
}

# ---------------------------------------------------------------- launching

# The Python of a launcher: PYTHON, else the one on PATH where it has mmengine, else that
# of the environment which quickstart.sh made, of the official family first.
launcher_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python "$(environment_folder)/bin/python" \
        "$(use_family onedl && environment_folder)/bin/python"; do
        if "$candidate" -c 'import importlib.util, sys
sys.exit(importlib.util.find_spec("mmengine") is None)' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die 'no Python with mmengine was found; activate your environment, name its Python with' \
        'PYTHON=..., or make one with tools/quickstart.sh'
}

free_port() {
    "$1" -c 'import socket
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])'
}

# launch_processes PROCESSES SCRIPT [ARGUMENTS]: one process per GPU of this machine, or
# that many on the CPU. NNODES, NODE_RANK, MASTER_ADDR and PORT as for torchrun; on one
# machine PORT may be left open.
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
