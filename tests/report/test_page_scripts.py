"""The scripts of the pages: small modules whose types hold."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "reports" / "assets"
TSC = ROOT / "node_modules" / ".bin" / "tsc"


def test_no_script_is_longer_than_250_lines() -> None:
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in ASSETS.glob("*.js")}
    assert {name: length for name, length in lengths.items() if length > 250} == {}


def test_the_viewer_is_typed_and_prints_numbers_in_one_way() -> None:
    for path in ASSETS.glob("gallery*.js"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith("// @ts-check\n"), path.name
        if path.name not in ("gallery-tools.js", "gallery-profile.js"):  # fields of a form and places in a drawing
            assert ".toFixed(" not in text, path.name


def test_types_of_scripts_hold() -> None:
    if not TSC.exists():
        pytest.skip("TypeScript is not installed: npm install --no-save typescript")
    command = [str(TSC), "--noEmit", "-p", str(ROOT / "reports" / "tsconfig.json")]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (checked.returncode, checked.stdout) == (0, "")
