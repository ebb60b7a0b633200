#!/usr/bin/env bash
# The wheel in an empty environment and an empty folder, without an extra, without a home directory
# that can be written to, and without a network where `unshare` can take it away: two prints matched
# by the weights that ship. What needs the extra `train` says so.
# PYTHON names the interpreter. Dependencies are installed from the package index.
set -euo pipefail
MOST_MB=400
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
inside() { env --unset=PYTHONPATH HOME=/nonexistent "${alone[@]}" "$work/venv/bin/$@"; }
mapfile -t prints < <(inside python -c 'import ifvit; print(*ifvit.example_prints(), sep="\n")')
inside ifvit match "${prints[0]}" "${prints[1]}"
inside ifvit match "${prints[0]}" "${prints[1]}" --threshold 0.01 | grep accepted
inside ifvit match "${prints[0]}" "${prints[2]}" --threshold 0.01 | grep rejected
inside ifvit match "${prints[0]}" "${prints[1]}" --out match.png
inside ifvit register "${prints[0]}" "${prints[1]}" --out registered
test -s match.png -a -s registered/field.png
inside ifvit embed "${prints[@]}" --out templates.npz
if inside ifvit synth --out made 2>said; then
  echo "ifvit synth works without JAX?" >&2
  exit 1
fi
grep --quiet "ifvit\[train\]" said
if inside ifvit report scores.csv 2>said; then
  echo "ifvit report works without matplotlib?" >&2
  exit 1
fi
grep --quiet "ifvit\[plots\]" said
size="$(du -sm "$work/venv" | cut -f1)"
if test "$size" -gt "$MOST_MB"; then
  echo "an environment of $size MB, pip among it: expected at most $MOST_MB" >&2
  exit 1
fi
echo "the wheel ($(du -h "$work"/dist/*.whl | cut -f1)) works by itself, in an environment of $size MB"
