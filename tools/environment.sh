# Makes and completes the virtual environment of quickstart.sh and run_tests.sh, which source
# this file and call use_environment. It reads CMID_VENV (folder of the environment), PYTHON
# (Python to make it with) and CMID_HEARTBEAT (seconds between two lines about a running step
# where the output is no terminal, 60 by default).
# shellcheck shell=bash

. "$(dirname "${BASH_SOURCE[0]}")/_common.sh"

# use_environment FAMILY SET: activates an environment that has a set of packages: pretrain,
# tasks (segmentation, detection, change detection) or tests; each includes the one before.
# FAMILY is official or onedl: two names of the mm packages, which install into the same
# folders, so that each family has an environment of its own.
use_environment() {
    FAMILY=$1 SET=$2
    case $FAMILY in
        official) VENV=$ROOT/.venv ;;
        onedl) VENV=$ROOT/.venv-onedl ;;
        *) die "no such family: '$FAMILY'; the families are official and onedl" ;;
    esac
    VENV=$(absolute "${CMID_VENV:-${VIRTUAL_ENV:-$VENV}}")
    LOG=$VENV/cmid-install.log
    MMCV=$(grep '^[a-z-]*mmcv==' "$ROOT/requirements/$FAMILY/tasks.txt")
    is_complete || install
    export VIRTUAL_ENV="$VENV" PATH="$VENV/bin:$PATH"
    unset PYTHONHOME
}

# A complete installation leaves the names of its sets and a checksum of the requirement
# files: after a change of these, pip looks at the environment again.
checksum() {
    (cd "$ROOT/requirements" && cat build.txt common.txt tests.txt "$FAMILY"/*.txt | cksum)
}

is_complete() {
    [ -x "$VENV/bin/python" ] && grep -qs "$SET.* $(checksum)\$" "$VENV/cmid-sets"
}

install() {
    local python=$VENV/bin/python sets='pretrain tasks tests' tests='' modules=cmid_mm
    # an environment that was left unfinished has no pip; `python -m venv` completes it
    if "$python" -m pip --version >/dev/null 2>&1; then
        is_suitable "$python" ||
            die "$VENV has no Python 3.10, 3.11 or 3.12; set CMID_VENV to another folder"
        refuse_other_family
    else
        # the log marks a folder that an earlier, failed call has made
        [ -f "$LOG" ] || [ -f "$VENV/pyvenv.cfg" ] || [ -z "$(ls -A "$VENV" 2>/dev/null)" ] ||
            die "$VENV is not a virtual environment; set CMID_VENV to another folder"
        python=$(find_python)
    fi
    [ "$SET" = pretrain ] || has_operators || require_compiler "$python"
    mkdir -p "$VENV"
    rm -f "$VENV/cmid-sets"
    : >"$LOG"
    printf 'Setting up %s (once; log: %s)\n' "$VENV" "$LOG"

    [ "$python" = "$VENV/bin/python" ] ||
        step 1/5 "making the environment with $("$python" -V)" "$python" -m venv "$VENV"
    step 2/5 "installing $(pins common.txt "$FAMILY/base.txt")" \
        pip_install -r build.txt -r "$FAMILY/base.txt"
    if has_operators; then
        printf 'The environment has %s with its operators.\n' "$MMCV"
    elif [ "$SET" = pretrain ]; then
        step 3/5 "installing $(pins "$FAMILY/pretrain.txt"); the tasks and the tests compile its \
operators later" install_light_mmcv
    else
        step 3/5 "compiling $MMCV, a quarter of an hour on two cores, once" compile_mmcv
    fi
    if [ "$SET" != pretrain ]; then
        [ "$SET" = tasks ] || tests=yes
        step 4/5 "installing $(pins "$FAMILY/tasks.txt")${tests:+ and pytest}" \
            pip_install -r "$FAMILY/tasks.txt" ${tests:+-r tests.txt}
        modules='cmid_mm, mmseg.models, mmdet.models'
        [ "$FAMILY" = official ] || modules="$modules, mmrotate.models"
    fi
    step 5/5 "importing $modules" import_packages "$modules"
    printf '%s %s\n' "${sets%"$SET"*}$SET" "$(checksum)" >"$VENV/cmid-sets"
    printf 'The environment is ready after %s.\n' "$(elapsed)"
}

is_suitable() {
    "$1" -c 'import sys, venv, ensurepip
sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1
}

find_python() {
    local python
    set -- python3 python3.12 python3.11 python3.10 python
    [ -z "${PYTHON:-}" ] || set -- "$PYTHON"
    for python; do
        ! is_suitable "$python" || { printf '%s\n' "$python" && return; }
    done
    die "$*: no Python 3.10, 3.11 or 3.12 with the venv module; install one (on Debian and" \
        'Ubuntu: python3 and python3-venv) or name one with PYTHON=...'
}

refuse_other_family() {
    local other=official
    [ "$FAMILY" = onedl ] || other=onedl
    "$VENV/bin/python" -c 'import runpy, sys
names = runpy.run_path(sys.argv[1])["installed_distributions"]()
sys.exit(any(name.startswith("onedl-") != (sys.argv[2] == "onedl") for name in names))' \
        "$ROOT/cmid_mm/environment.py" "$FAMILY" ||
        die "$VENV holds the $other family of the mm packages, which cannot share a folder" \
            "with the $FAMILY family; set CMID_VENV to another folder, or use --family $other"
}

require_compiler() {
    command -v "${CXX:-c++}" >/dev/null ||
        die 'mmcv has to be compiled and there is no C++ compiler; install one (on Debian and' \
            'Ubuntu: build-essential) or name one with CXX=...'
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
        die "mmcv has to be compiled and $1 lacks its C headers; install them (on Debian and" \
            'Ubuntu: python3-dev) or name another Python with PYTHON=...'
}

has_operators() {
    "$VENV/bin/python" -c "import mmcv
from mmcv.utils import ext_loader
ext_loader.load_ext('_ext', ['nms'])
assert mmcv.__version__ == '${MMCV#*==}'" >/dev/null 2>&1
}

pip_install() {
    (cd "$ROOT/requirements" && "$VENV/bin/python" -m pip install --no-input "$@")
}

pins() {
    (cd "$ROOT/requirements" && grep -h '^[a-z-]*==' "$@") | paste -s -d ' ' -
}

# The builds of mmcv own one folder: to remove one of two takes files of the other.
remove_mmcv() {
    "$VENV/bin/python" -m pip uninstall -y mmcv mmcv-lite onedl-mmcv
}

install_light_mmcv() {
    remove_mmcv || return
    if [ "$FAMILY" = onedl ]; then
        # pip builds in isolation, without torch and so without operators; not from the cache
        # nor into it, where this build would pass for the one with operators
        pip_install --no-cache-dir --no-deps "$MMCV" || return
    fi
    pip_install -r "$FAMILY/pretrain.txt"
}

# A subshell: its exports are for the build only.
compile_mmcv() (
    # with a GPU but no CUDA compiler the build would stop; operators for the CPU are possible
    if ! command -v nvcc && [ ! -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ]; then
        export CUDA_VISIBLE_DEVICES=''
    fi
    export MMCV_WITH_OPS=1
    remove_mmcv || exit
    pip_install -v --no-build-isolation "$MMCV" || exit
    # a wheel in pip's cache may be for another torch, or without operators
    has_operators || pip_install -v --no-build-isolation --no-deps --force-reinstall \
        --no-cache-dir --no-binary "${MMCV%==*}" "$MMCV"
)

# cmid_mm first: it prepares what the others need.
import_packages() {
    (cd "$ROOT" && "$VENV/bin/python" -c "import $1")
}

elapsed() {
    printf '%02d:%02d:%02d' $((SECONDS / 3600)) $((SECONDS / 60 % 60)) $((SECONDS % 60))
}

# step NUMBER LABEL COMMAND...: runs one step and reports its progress; a failure ends the
# script with the end of the log and what to try.
step() {
    local number=$1 label=$2 progress status=0
    shift 2
    printf '[ %s  %s] %s ...\n' "$number" "$(elapsed)" "$label" | tee -a "$LOG"
    show_progress "$number" &
    progress=$!
    "$@" >>"$LOG" 2>&1 </dev/null || status=$?
    kill "$progress" 2>/dev/null || true
    wait "$progress" 2>/dev/null || true
    [ ! -t 1 ] || printf '\r\033[K'
    [ "$status" -ne 0 ] || return 0
    tail -n 15 "$LOG" >&2
    die "step $number failed ($label); the end of $LOG is above. Check the network and pip's" \
        'configuration (pip config list); if memory is short, set MAX_JOBS=1. Then run the same' \
        'command again: finished steps are kept'
}

# Prints a line a minute while a step runs; on a terminal one that is overwritten every
# second. The compiler counts its files in the log.
show_progress() {
    local pause=1 start='\r' end='\033[K' files
    [ -t 1 ] || pause=${CMID_HEARTBEAT:-60} start='' end='\n'
    # sleep is redirected, or it would keep a pipe open that the script writes to
    while sleep "$pause" >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        files=$(tail -c 20000 "$LOG" | sed -n 's|.*\[\([0-9]*/[0-9]*\)\].*|\1|p' | tail -n 1)
        printf "$start[ %s  %s] running%s$end" "$1" "$(elapsed)" "${files:+, file $files}"
    done
}
