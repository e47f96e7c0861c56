"""Finding the numbers in fits.py: ``python -m marbench.phantoms.implants.fit`` writes that file anew.

The size of a mask is a staircase in the unit of the drawing; the step sought must be wide enough that no rounding can
leave it. Where an edge along the pixels makes the staircase jump over a size, the drawing is tilted a little.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from marbench.errors import DataError
from marbench.geometry import ImageGrid
from marbench.phantoms.implants import catalogue, training_set
from marbench.phantoms.implants.fits import FITS
from marbench.phantoms.implants.metal import Drawing, Metal
from marbench.phantoms.implants.outlines import arranged, centred
from marbench.phantoms.metals import coverage, mask

__all__ = ["fitted"]

REFERENCE = ImageGrid(416, 416, 1.0)
CANDIDATES = 121
SAFE = 2e-5
"""Relative distance to the edges of the step that a unit must keep at least."""

TILTS = (0.0, 1.3, -2.2, 3.1, -4.4, 5.7, -6.5, 7.9, -8.3, 9.1)

Fit = tuple[float, float]
"""Unit and tilt (degrees)."""


def fitted(drawing: Drawing, area: int) -> Fit:
    """Return the fit that gives a drawing's mask exactly ``area`` reference pixels."""
    for tilt in TILTS:
        unit = 1.0
        for _ in range(4):
            unit *= (area / _size(drawing, unit, tilt)) ** 0.5
        # One pixel more is a step of 1 / (2·area) in the unit.
        candidates = unit * (1.0 + np.linspace(-1, 1, CANDIDATES) * min(4.0 / area, 0.2))
        fits = np.array([_size(drawing, float(candidate), tilt) == area for candidate in candidates])
        edges = np.flatnonzero(np.diff(np.concatenate(([False], fits, [False])))).reshape(-1, 2)
        if edges.size:
            first, end = max(edges, key=lambda run: run[1] - run[0])
            fit = round(float(candidates[first] + candidates[end - 1]) / 2, 6), tilt
            if _holds(drawing, area, fit):
                return fit
    raise DataError(f"No unit gives {drawing.name} exactly {area} px. Make the drawing less symmetric.")


def _holds(drawing: Drawing, area: int, fit: Fit) -> bool:
    unit, tilt = fit
    # The staircase is not quite monotone: both ends on the step do not suffice.
    return all(_size(drawing, unit * factor, tilt) == area for factor in 1.0 + np.linspace(-SAFE, SAFE, 9))


def _size(drawing: Drawing, unit: float, tilt: float) -> int:
    metal = Metal("", "", "", "any", 0, centred(arranged(drawing.parts, turn=tilt)), unit)
    return int(mask(coverage(metal, REFERENCE, REFERENCE.pixel)).sum())


def _write() -> None:
    """Find the fits that no longer hold."""
    lines = []
    for split, drawings, areas in (
        ("test", catalogue.test_drawings(), catalogue.TEST_AREAS),
        ("train", training_set.drawings(), catalogue.TRAIN_AREAS),
    ):
        for number, (drawing, area) in enumerate(zip(drawings, areas, strict=True), start=1):
            name = f"{split}-{number:02d}-{drawing.name}"
            known = FITS.get(name)
            fit = known if known and _holds(drawing, area, known) else fitted(drawing, area)
            lines.append(f'    "{name}": {fit!r},')
    heading = '"""Reference pixels per unit of each drawing, and its tilt in degrees, as fit.py finds them."""'
    text = "\n".join((heading, "", '__all__ = ["FITS"]', "", "FITS = {", *lines, "}", ""))
    Path(__file__).with_name("fits.py").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _write()
