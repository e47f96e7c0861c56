"""Scripts and benchmarks, which run by hand, still fit the code that they use."""

import os
import runpy
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marbench.anatomy.slices import Slice
from marbench.cases.simulator import Simulator
from marbench.cases.suite import Suite
from marbench.spec import Spec

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = [path.relative_to(ROOT) for folder in ("benchmarks", "scripts") for path in (ROOT / folder).glob("*.py")]


@pytest.mark.parametrize("script", sorted(SCRIPTS), ids=str)
def test_a_script_can_be_loaded(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / script.parent))
    runpy.run_path(str(ROOT / script), run_name="looked at")


def test_what_takes_longer_than_the_minutes_of_gpu_sh_is_ended(tmp_path: Path) -> None:
    python, calls = tmp_path / "python", tmp_path / "calls"
    python.write_text(f'#!/bin/sh\necho "$@" >>{calls}\ncase $1 in *gpu_training*) exec sleep 60; esac\n')
    python.chmod(0o755)
    told = subprocess.run(
        [ROOT / "scripts" / "gpu.sh", tmp_path / "out"],
        env={**os.environ, "PYTHON": str(python), "MINUTES": "0", "METHODS": "dudonet li"},
        check=True, capture_output=True, text=True, timeout=40,
    ).stdout  # fmt: skip
    tables = [call for call in calls.read_text().splitlines() if call.startswith("benchmarks/")]
    assert [call.split()[0].split("/")[1] for call in tables] == ["gpu_ril.py", "gpu_training.py", "table3.py"]
    assert all("--quick" in call for call in tables)
    assert tables[1].endswith("--methods dudonet,li")
    assert "ended: the time is up" in told and told.count("no time is left for") == 2


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


def test_without_noise_a_disc_has_the_same_hu_at_every_dose(tiny: Spec) -> None:
    with_photons = runpy.run_path(str(ROOT / "scripts" / "detectability.py"), run_name="looked at")["with_photons"]
    content = tiny.model_dump(by_alias=True)
    content["physics"] |= {"scatter": 2000.0, "noise": False}
    spec, apart = Spec.model_validate(content), np.hypot(tiny.grid.x, tiny.grid.y[:, None])
    disc = Slice(np.where(apart < 12, 0, -1000).astype(np.float32), (-160.0, 240.0), "p", "s", "abdomen")
    images = []
    for photons in (None, 2e6):
        simulator = Simulator(with_photons(spec, photons))
        measured = simulator.measurement.measured(simulator.without_metal(disc).polychromatic, None)
        images.append(simulator.operators.reconstruct(measured).numpy())
    np.testing.assert_allclose(*images, atol=0.5)
