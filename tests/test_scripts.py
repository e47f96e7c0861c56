"""Scripts and benchmarks, which run by hand, still fit the code that they use."""

import runpy
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = [path.relative_to(ROOT) for folder in ("benchmarks", "scripts") for path in (ROOT / folder).glob("*.py")]


@pytest.mark.parametrize("script", sorted(SCRIPTS), ids=str)
def test_a_script_can_be_loaded(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / script.parent))
    runpy.run_path(str(ROOT / script), run_name="looked at")


def test_clinical_scores_rank_nobody_by_other_cases() -> None:
    """Of two hard cases and an easy one LI has only the easy one."""
    ranked = runpy.run_path(str(ROOT / "scripts" / "clinical_scores.py"), run_name="looked at")["ranked"]
    scores = {"nmar": (3.0, 3.0, 0.0), "none": (4.0, 4.0, 1.0), "tv": (2.0, 2.0, 0.5), "li": (0.5,)}
    found = pd.DataFrame([{"method": name, "score": each} for name, own in scores.items() for each in own])
    table, lines = ranked(found)
    assert table["score"].to_dict() == {"tv": 1.5, "nmar": 2.0, "none": 3.0}
    assert list(table.index) == ["tv", "nmar", "none"]
    assert lines == ["li: 1 of 3 cases, score 0.50"]
