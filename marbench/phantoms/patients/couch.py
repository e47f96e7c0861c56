"""The patient table under the patient, in the coordinates of the scanner."""

from __future__ import annotations

import math

import numpy as np

from marbench.phantoms.patients.canvas import Canvas, Tissue
from marbench.phantoms.patients.person import Person
from marbench.phantoms.shapes import Ellipse, Field

__all__ = ["paint_couch"]


def paint_couch(canvas: Canvas, person: Person, top: float) -> None:
    """Paint a table whose upper surface touches ``y = top`` (cm): curved or flat, a hard shell around foam.

    One person in eight lies on a table that the field of view does not show.
    """
    stream = person.stream("couch")
    if stream.chance(0.12):
        return
    x, y = canvas.table
    half = stream.uniform(15.0, 19.5)
    curved = stream.chance(0.7)
    sag = stream.uniform(1.2, 3.2) if curved else 0.0
    thickness = stream.uniform(0.8, 2.6)
    shell = Tissue(stream.uniform(-350, 260), fine=15)
    lower_sag = sag + (stream.uniform(0, 1.0) if curved else 0.0)
    top += 0.45 * sag  # the back sinks into the hollow
    upper = _depth(x, y, top, sag, half)
    lower = _depth(x, y, top - thickness, lower_sag, half)
    edge = np.float32(half) - np.abs(x)
    wall = stream.uniform(0.06, 0.22)
    mattress = stream.uniform(0.0, 1.2)
    if stream.chance(0.5):
        rest = _depth(x, y, top + mattress, sag, half)
        _band(canvas, np.minimum(rest, -upper), Tissue(stream.uniform(-975, -900), fine=10), edge)
        _band(canvas, np.float32(0.05) - np.abs(rest), Tissue(stream.uniform(-850, -500)), edge, 0.05)
    _band(canvas, np.minimum(upper, -lower), Tissue(stream.uniform(-985, -880), fine=12), edge)
    _band(canvas, np.float32(wall) - np.abs(upper), shell, edge, wall)
    if stream.chance(0.8):
        _band(canvas, np.float32(0.8 * wall) - np.abs(lower), shell, edge, 0.8 * wall)
    if stream.chance(0.3):
        at = stream.uniform(-13, 13), top - thickness - sag - 0.4
        wire = Ellipse(*at, 0.12, 0.12)
        _band(canvas, wire.distance(x, y), Tissue(900), edge, 0.12)


def _depth(x: Field, y: Field, top: float, sag: float, half: float) -> Field:
    """Distance below a surface that hangs ``sag`` lower in its middle than at its edges."""
    u = x * np.float32(1 / half)
    slope = 2 * sag / half
    flat = 1 / math.sqrt(1 + 0.25 * slope * slope)
    return (np.float32(top - sag) + np.float32(sag) * u * u - y) * np.float32(flat)


def _band(canvas: Canvas, distance: Field, tissue: Tissue, edge: Field, inradius: float = 1.0) -> None:
    """Blend a distance field of the whole image, as far as the edges of the table."""
    canvas.blend(canvas.share(distance, inradius) * canvas.coverage(edge), canvas.value(tissue))
