#!/usr/bin/env bash
# From an empty machine to a pre-trained backbone, and on to the tasks it is for:
#   tools/quickstart.sh [IMAGE_FOLDER] [--task TASK] [--family official|onedl] [OPTIONS]
# Makes a virtual environment, installs what is needed, and pre-trains a small student on
# IMAGE_FOLDER; without a folder on generated scenes. TASK is pretrain (all that is done by
# default), classification, segmentation, detection, change_detection or all; any but
# pretrain needs the compiled mmcv, a quarter of an hour on two cores, once. The
# environment is .venv (.venv-onedl for the onedl family), an active one, or CMID_VENV.
# Results: work_dirs/quickstart. Further options go to tools/quickstart.py.
# Environment: CMID_VENV (folder of the environment), PYTHON (3.10 to 3.12, to make it with).

. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
help_if_requested "$@"
family=official task='' rest=()
while [ $# -gt 0 ]; do
    case $1 in
        --family | --task)
            [ $# -gt 1 ] || die "$1 needs a value"
            set -- "$1=$2" "${@:3}"
            continue
            ;;
        --family=*) family=${1#*=} ;;
        --task=*) task=${1#*=} ;;
        *) rest+=("$1") ;;
    esac
    shift
done
set -- "${rest[@]}"
case $task in
    '' | pretrain) packages=pretrain ;;
    classification | segmentation | detection | change_detection | all) packages=tasks ;;
    *) die "no such task: '$task'; the tasks are pretrain, classification, segmentation," \
        'detection, change_detection and all' ;;
esac
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    [ -d "$1" ] || die "no such folder of images: $1"
    [ -n "$(find -L "$1" -type f -print -quit)" ] || die "the folder is empty: $1"
    set -- "$(absolute "$1")" "${@:2}"
fi
use_environment "$family" "$packages"
cd "$ROOT"
exec python tools/quickstart.py "$@" ${task:+--task "$task"}
