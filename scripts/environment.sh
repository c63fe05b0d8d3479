#!/bin/sh
# environment.sh PYTHON VENV REQUIREMENT: a virtual environment that holds this project, editable, and what it needs.
set -eu
python=$1 venv=$2 requirement=$3

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$python is $("$python" --version 2>&1); Python 3.11 or later is needed. Try: make PYTHON=python3.11" >&2
    exit 2
fi
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    if ! "$python" -m venv --clear "$venv"; then
        # Debian keeps venv in a package of its own.
        sh "$(dirname "$0")/system_packages.sh" python3-venv
        "$python" -m venv --clear "$venv"
    fi
fi
echo "installing $requirement into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$requirement"
