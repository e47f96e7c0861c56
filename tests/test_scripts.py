"""Scripts and benchmarks, which run by hand, still fit the code that they use."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = [path.relative_to(ROOT) for folder in ("benchmarks", "scripts") for path in (ROOT / folder).glob("*.py")]


@pytest.mark.parametrize("script", sorted(SCRIPTS), ids=str)
def test_a_script_can_be_loaded(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / script.parent))
    runpy.run_path(str(ROOT / script), run_name="looked at")
