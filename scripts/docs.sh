#!/usr/bin/env bash
# Builds the manual into build/docs, with what it needs in .venv. Warnings are errors: dead links, orphan pages, names that
# are gone. Exit code 69: the packages that it needs cannot be installed.
set -euo pipefail
cd "$(dirname "$0")/.."

[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]" || {
  echo "The manual is not built: its packages cannot be installed here." >&2
  exit 69
}
rm -rf docs/generated build/docs
.venv/bin/python -m sphinx -q -W --keep-going -n -b html docs build/docs
echo "The manual: build/docs/index.html"
