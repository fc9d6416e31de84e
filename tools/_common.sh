# Functions that the scripts of this folder share; sourced by them, not run.
# shellcheck shell=bash

set -euo pipefail
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$TOOLS")

die() {
    printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2
    exit 2
}

# help_if_requested ARGUMENTS...: the comment at the head of the calling script is its help.
help_if_requested() {
    local argument
    for argument; do
        case $argument in
            -h | --help)
                sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
                exit
                ;;
        esac
    done
}

absolute() {
    case $1 in /*) printf '%s\n' "$1" ;; *) printf '%s/%s\n' "$PWD" "$1" ;; esac
}
