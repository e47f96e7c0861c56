"""Scripts and benchmarks, which run by hand, still fit the code that they use."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marbench.cases.suite import Suite
from marbench.spec import Spec

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


def test_the_observer_sees_the_metal_of_the_case(tiny: Spec) -> None:
    anatomy = runpy.run_path(str(ROOT / "scripts" / "detectability.py"), run_name="looked at")["anatomy"]
    content = tiny.model_dump(by_alias=True)
    pin = {"id": "pin", "pixel_cm": 1.0, "masks": {"gold": np.ones((3, 3))}, "centre_cm": [0.3, 0.2]}
    content["metals"] |= {"own": [pin], "size_groups": 1, "material": "titanium", "pixels": "whole"}
    suite = Suite(Spec.model_validate(content))
    info, (_, areas) = suite[0].info, anatomy(suite, 0)
    assert tuple(areas) == info.materials == ("gold",)
    assert areas["gold"].sum() * (10 * tiny.grid.pixel) ** 2 == pytest.approx(info.metal_area_mm2)
