#!/bin/sh
# make_venv.sh FOLDER [PYTHON]: make a virtual environment with Python 3.11, 3.12 or 3.13.
# Without PYTHON the first suitable interpreter on the path is taken.
set -eu
folder=$1
wanted=${2:-}

suits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

if [ -n "$wanted" ]; then
    if ! suits "$wanted"; then
        echo "PYTHON=$wanted is no Python 3.11, 3.12 or 3.13; give one, or leave PYTHON out." >&2
        exit 1
    fi
    python=$wanted
else
    python=
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if suits "$candidate"; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "No Python 3.11, 3.12 or 3.13 on the path; install one, or say make PYTHON=/path/to/python." >&2
        exit 1
    fi
fi

echo "Making $folder with $("$python" --version)"
if ! "$python" -m venv "$folder"; then
    rm -rf "$folder"
    echo "$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv." >&2
    exit 1
fi
