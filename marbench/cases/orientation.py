"""Whether an image lies as its sinogram says: files of others have their rows, columns, views and bins in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from marbench.cases.agreement import TURNED_BACK

__all__ = ["BRIGHTER_HU", "mask_belongs", "misfit", "remedy"]

Image = NDArray[np.float32]

MARGIN = 0.02
"""By how much more another orientation has to correlate to be the right one: symmetric patients fit nearly as well."""
LEAST = 0.5
"""Correlation below which an image is not that of the sinogram, however it is turned; streaks leave 0.8."""
BRIGHTER_HU = 1000.0
"""By how much brighter another orientation of a mask has to be."""

_SOFT = (-1000.0, 1000.0)


def misfit(image: Image, measured: Image) -> bool:
    """Tell whether an image lies otherwise than a reconstruction of its sinogram; both ``(rows, columns)``, HU."""
    fits = dict(_fits(image, measured))
    return fits[""] < max(LEAST, max(fits.values()) - MARGIN)


def remedy(
    image: Image, sinogram: torch.Tensor, reconstruct: Callable[[torch.Tensor], torch.Tensor], even_circle: bool
) -> str:
    """Say which keys make an image and its sinogram ``(views, bins)`` agree, as far as any do.

    ``even_circle`` says whether the sinogram may begin with any of its views, see `FanBeam.is_even_circle`.
    """
    found = [
        (fit, keys, turn)
        for keys, rays in _orders(sinogram, even_circle)
        for turn, fit in _fits(image, reconstruct(rays).cpu().numpy())
    ]
    best = max(fit for fit, *_ in found)
    if best < LEAST:
        return "No order of their axes makes them agree: the geometry, the unit or the file is another."
    # Mirrored, both fit as well: what turns the fewest is meant.
    ways = [[*keys, *([f"{turn} of the images"] if turn else [])] for fit, keys, turn in found if fit > best - 1e-5]
    parts = min(ways, key=len)
    return f"They agree with {', '.join(parts) or 'nothing else'}, on top of what the benchmark says now."


def _orders(sinogram: torch.Tensor, even_circle: bool) -> Iterator[tuple[list[str], torch.Tensor]]:
    """Yield a sinogram in every order of its views and bins, and the keys that bring it about."""
    for views, bins in product((False, True), repeat=2):
        axes = [name for name, flipped in (("views", views), ("bins", bins)) if flipped]
        flipped = sinogram.flip([("views", "bins").index(axis) for axis in axes])
        yield ([f"reverse = [{', '.join(axes)}] of the sinograms"] if axes else []), flipped
        if views and even_circle:  # the first view stays the first
            yield [TURNED_BACK, *(["reverse = [bins] of the sinograms"] if bins else [])], flipped.roll(1, 0)


def mask_belongs(mask: NDArray[np.bool_], measured: Image) -> str:
    """Return an empty text where a mask lies on the metal of a reconstruction in HU, or else how it would."""
    if not mask.any():
        return ""
    bright = {name: float(measured[turned].mean()) for name, turned in _turns(mask)}
    best = max(bright, key=lambda name: bright[name])
    return best if bright[best] > bright[""] + BRIGHTER_HU else ""


def _fits(image: Image, measured: Image) -> Iterator[tuple[str, float]]:
    """Yield the correlation of every orientation of an image; metal and its streaks are clipped."""
    reference = _normal(measured)
    for name, turned in _turns(_normal(image)):
        yield name, float((turned * reference).sum())


def _normal(image: Image) -> NDArray[np.float64]:
    clipped = np.clip(image.astype(np.float64), *_SOFT)
    centred: NDArray[np.float64] = clipped - clipped.mean()
    size = np.sqrt((centred**2).sum())
    return centred / size if size else centred


def _turns(image: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the eight orientations of a square image, and the keys of its table that bring them about."""
    for transposed, rows, columns in product((False, True), repeat=3):
        turned = image.T if transposed else image
        axes = [name for name, flipped in (("rows", rows), ("columns", columns)) if flipped]
        for axis in axes:
            turned = np.flip(turned, ("rows", "columns").index(axis))
        keys = ["transposed"] if transposed else []
        keys += [f"reverse = [{', '.join(axes)}]"] if axes else []
        yield " and ".join(keys), turned
