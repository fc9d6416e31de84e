#!/usr/bin/env bash
# From an empty machine to a pre-trained backbone: tools/quickstart.sh [IMAGE_FOLDER] [OPTIONS]
# Makes a virtual environment (.venv, an active one, or CMID_VENV), installs what
# pre-training needs, and pre-trains a small student on IMAGE_FOLDER; without a folder on
# generated scenes. Results: work_dirs/quickstart. Further options go to tools/quickstart.py.
# Environment: CMID_VENV (folder of the environment), PYTHON (3.10 to 3.12, to make it with).

set -euo pipefail
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$TOOLS/environment.sh"

if wants_help "$@"; then
    usage
    exit
fi
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    [ -d "$1" ] || die "no such folder of images: $1"
    [ -n "$(find -L "$1" -type f -print -quit)" ] || die "the folder is empty: $1"
    set -- "$(absolute "$1")" "${@:2}"
fi
use_environment pretrain
cd "$CMID_ROOT"
exec python tools/quickstart.py "$@"
