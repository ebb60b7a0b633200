#!/usr/bin/env bash
# The wheel in an empty environment and an empty folder: two synthetic prints, matched by the weights
# that ship, with no extra, and without a network where `unshare` can take it away.
# PYTHON names the interpreter. Dependencies are installed from the package index.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip --disable-pip-version-check)
"${pip[@]}" wheel --quiet --no-deps --wheel-dir "$work/dist" "$root"
"${pip[@]}" install --quiet "$work"/dist/ifvit-*.whl

alone=()
if unshare --map-root-user --net true 2>/dev/null; then alone=(unshare --map-root-user --net); fi
mkdir "$work/empty"
cd "$work/empty"
ifvit() { env --unset=PYTHONPATH "${alone[@]}" "$work/venv/bin/ifvit" "$@"; }
ifvit synth --out prints --fingers 1 --impressions 2
ifvit match prints/1_1.png prints/1_2.png
ifvit match prints/1_1.png prints/1_2.png --threshold 0.01
echo "the wheel ($(du -h "$work"/dist/*.whl | cut -f1)) works by itself"
