"""What the phantoms look like: a picture that changes turns these red, and then its version must rise.

A picture is told by its sum and by one random projection. Both survive the rounding of other machines; a contour, a
tissue, a random stream or an implant that changes moves them by many times the tolerance.
``python tests/phantoms/test_golden.py`` writes golden.json anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marbench.geometry import ImageGrid
from marbench.phantoms import IMPLANTS_VERSION, METALS_VERSION, PHANTOMS_VERSION
from marbench.phantoms.implants import catalogue
from marbench.phantoms.metals import Metal, coverage, library
from marbench.phantoms.patients import ProceduralPatients, RandomScenes

GRID = ImageGrid(128, 128, 0.32)
VERSIONS = {"implants": METALS_VERSION, "of regions": IMPLANTS_VERSION, "people": PHANTOMS_VERSION}
GOLDEN = Path(__file__).with_name("golden.json")
SIGNS = np.where(np.random.Generator(np.random.PCG64(0)).integers(0, 2, GRID.shape, dtype=np.uint8), 1.0, -1.0)


def told(image: NDArray[Any]) -> list[float]:
    """Mean, and projection on random signs over the root of the number of pixels."""
    values = image.astype(np.float64)
    return [round(float(values.mean()), 6), round(float((values * SIGNS).sum()) / values.size**0.5, 6)]


def implants() -> dict[str, list[float]]:
    """Turned, shifted, all drawn to about the same size, each material with another weight."""
    return drawn([*library("train"), *library("val"), *library("test")])


def of_regions() -> dict[str, list[float]]:
    """The implants that only stand in the sets of regions, likewise."""
    general = {metal.id for metal in (*library("train"), *library("val"), *library("test"))}
    return drawn([one.metal(name) for name, one in catalogue.implants().items() if name not in general])


def drawn(metals: list[Metal]) -> dict[str, list[float]]:
    found = {}
    for metal in metals:
        covered = coverage(metal, GRID, GRID.pixel, (0.7, -1.1), 0.4, scale=(1500 / metal.area_px) ** 0.5)
        found[metal.id] = told(sum((k * 100.0 * share for k, share in enumerate(covered.values(), 1)), np.zeros(1)))
    return found


def people() -> dict[str, list[float]]:
    """Four patients of each region, and some random scenes."""
    patients, scenes = ProceduralPatients(7, {"train": (14, 14), "test": (14, 14)}), RandomScenes(3, {"train": (8, 8)})
    found = {}
    for source, split in ((patients, "train"), (patients, "test"), (scenes, "train")):
        for patient, (piece,) in source.patients(split).items():
            found[piece] = told(source.load(patient, piece, GRID).image)
    return found


@pytest.mark.parametrize(
    ("pictures", "mean", "projection"),
    # One sample of a pixel that falls to the other side of an outline is 0.0001 and 0.012.
    [(implants, 0.005, 0.1), (of_regions, 0.005, 0.1), (people, 0.02, 0.2)],
)
def test_no_picture_changes_without_another_version(pictures: Any, mean: float, projection: float) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert golden["versions"] == VERSIONS
    expected, found = golden[pictures.__name__], pictures()
    assert list(found) == list(expected)
    off = np.abs(np.array(list(found.values())) - np.array(list(expected.values())))
    changed = [name for name, far in zip(found, (off > (mean, projection)).any(axis=1), strict=True) if far]
    assert not changed, "Raise the VERSION of what has changed, then write golden.json anew."


def _write() -> None:
    tables = [f'  "versions": {json.dumps(VERSIONS)}']
    for pictures in (implants, of_regions, people):
        lines = (f"    {json.dumps(name)}: {numbers}" for name, numbers in pictures().items())
        tables.append(f'  "{pictures.__name__}": {{\n' + ",\n".join(lines) + "\n  }")
    GOLDEN.write_text("{\n" + ",\n".join(tables) + "\n}\n")


if __name__ == "__main__":
    _write()
