#!/usr/bin/env bash
# Installs marbench with everything its tests need into .venv, and passes the tests: style, types, import contracts, pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"

# Several test processes share the cores; spinning OpenMP threads would cost 3–5×.
export OMP_WAIT_POLICY=PASSIVE
# Hundreds of processes would each compile what they import.
unset PYTHONDONTWRITEBYTECODE
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/lint-imports
# More processes than two cores: many tests wait for processes of their own. A file stays in one process, which
# makes what its tests share once; tests/conftest.py has the long files begin first.
.venv/bin/pytest -n "${PYTEST_PROCESSES:-4}" --dist loadfile --no-loadscope-reorder "$@"
