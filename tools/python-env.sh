#!/bin/bash
# Makes the virtual environment of the tests that need Python packages, and prints the path of its Python:
# tools/python-env.sh. What is in it stands in tests/requirements.txt; one that was made from the same file is reused.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=.venv-tests
requirements=tests/requirements.txt
python=/usr/bin/python3
[ -x "$python" ] || python=python3

# Two that want it at one time: the second one waits, and finds it made.
exec 9> "$environment.lock"
flock 9

# It was made from these requirements, by this version of Python?
wanted=$("$python" --version && cat "$requirements")
if [ "$(cat "$environment/made-from" 2> /dev/null || true)" != "$wanted" ]; then
  rm -rf "$environment"
  "$python" -m venv "$environment" >&2
  for try in 1 2 3; do
    if "$environment/bin/pip" install --quiet --disable-pip-version-check -r "$requirements" >&2; then break; fi
    if [ "$try" = 3 ]; then exit 1; fi
    sleep 5
  done
  printf '%s' "$wanted" > "$environment/made-from"
fi
echo "$PWD/$environment/bin/python"
