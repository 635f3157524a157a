#!/usr/bin/env bash
# Installs the simulators into a Python of their own, target/simulators, unless they are there
# already. Needs python3 with venv, and PyPI.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=target/simulators
wanted=tests/simulators/requirements.txt
if [ -x "$venv/bin/python" ] && cmp -s "$wanted" "$venv/requirements.txt"; then
    exit 0
fi
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/pip" install -q --disable-pip-version-check --no-deps -r "$wanted"
# Last, so that an installation that broke off is made anew.
cp "$wanted" "$venv/requirements.txt"
