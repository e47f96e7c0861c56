"""Whether a picture is in HU: proven by its air and its tissue, whatever its header says.

Converters lose the intercept, registration fills with zeros, viewers clip to a window, workstations save maps of other
quantities as CT. None of it shows in a header; all of it shows in the values. A picture without noise, of a phantom, is
judged by the same rules, but for clipped bone, which looks there like a homogeneous part.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from marbench.anatomy.screening import METAL_HU

__all__ = ["LOWEST_AIR_HU", "clipped", "doubt", "unlikely_size"]

PIXEL_CM = (0.005, 1.0)
"""From finer than photon-counting and dental scanners (0.08 mm) to the coarsest attenuation maps of SPECT (9 mm)."""

PICTURE_CM = (4.0, 130.0)
"""From the smallest fields of dental cone beams to beyond the widest bore (85 cm), whose corners are padding."""

HIGHEST_HU = 31_000.0
"""The extended CT scale ends at 30,710 HU (12 bits in steps of 10 from −10,240); beyond lie padding and windows."""

LOWEST_AIR_HU, HIGHEST_AIR_HU = -1100.0, -800.0
"""Air is −1005 to −970 HU by the rules of accreditation (ACR), wider here for noise, streaks and cone beams."""

CLIPPED_AIR_HU = -950.0
"""Where the lowest value fills a part of the picture it is free of noise, and has to be that of air."""

GAS_HU, SOFT_TISSUE_HU, BODY_HU = -200.0, (-200.0, 200.0), -300.0

PLATEAU = 0.01
"""Share of the picture that one lowest value fills where it was clipped: noise spreads air over more values."""

GAS, SOFT_TISSUE = 0.02, 0.1
"""Shares: less gas proves nothing; less soft tissue has no body, the vertex of the skull has three times it."""

LUNG_HU = -650.0
"""Of gas beside the lowest value the darkest twentieth lies below: that is so in lung and at every edge of air."""

COMMONEST = 3
PADDING, PHANTOM = 0.75, 0.5
"""Shares of the few commonest values: in padding that resampling has blurred, and in a body without noise."""

LEANEST_HU, FLATTEST_HU = -140.0, 20.0
"""Half of any body is denser than pure fat (−120 HU), and fat, muscle and bone are far apart."""

CORNER, HOLE = 0.001, 0.01
"""Shares of the picture: the smallest wedge in a corner, and the smallest region elsewhere, that count as filled."""

Image = NDArray[np.floating[Any]]


def doubt(image: Image, padding: NDArray[np.bool_]) -> str | None:
    """Say why a picture is not one in HU, or return None where it is.

    Parameters
    ----------
    image : array ``(rows, columns)``
        What the header makes of the stored values, not clipped.
    padding : bool array ``(rows, columns)``
        Pixels that the header says are none.

    Returns
    -------
    str or None
        ``empty: …`` where nothing was scanned, ``not in HU: …`` otherwise.
    """
    scanned = image[~padding]
    if not scanned.size:
        return "empty: nothing but padding"
    low, high = float(scanned.min()), float(scanned.max())
    if low == high:
        return f"empty: every pixel is {low:g}"
    why = next(_faults(image, scanned, padding), None)
    return None if why is None else f"not in HU: {why}; it runs from {low:g} to {high:g}"


def clipped(image: Image, padding: NDArray[np.bool_]) -> str | None:
    """Say that the highest value of a picture without another `doubt` is the end of a window, or return None.

    Where there is metal it may as well be metal at the end of a scale; above 3000 HU it is.
    """
    scanned = image[~padding]
    body, top = scanned[scanned > BODY_HU], scanned.max()
    highest = np.count_nonzero(body == top)
    if top > METAL_HU or highest < max(20, 10 * _density_below(body, top)) or _share_of_commonest(body) >= PHANTOM:
        return None
    runs = f"it runs from {scanned.min():g} to {top:g}"
    return f"not in HU: the highest value, {top:g}, fills {highest} pixels: clipped to a window; {runs}"


def unlikely_size(spacing: tuple[float, float], shape: tuple[int, ...]) -> str | None:
    """Say why no scanner has pixels of this (row, column) size in cm, or return None where one may."""
    low, high = PIXEL_CM
    slack = 1 + 1e-4  # sizes from an affine are rounded
    if not low / slack <= min(spacing) <= max(spacing) <= high * slack:
        return _size(spacing) + f"; expected {10 * low:g} to {10 * high:g} mm"
    widths = [size * count for size, count in zip(spacing, shape, strict=True)]
    if not PICTURE_CM[0] <= max(widths) <= PICTURE_CM[1]:
        return _size(spacing) + f" make a picture {max(widths):.3g} cm wide; expected {PICTURE_CM[0]:g} cm and more"
    return None


def _size(spacing: tuple[float, float]) -> str:
    return f"pixel size: pixels of {10 * spacing[0]:.4g} × {10 * spacing[1]:.4g} mm"


def _faults(image: Image, scanned: Image, padding: NDArray[np.bool_]) -> Iterator[str]:
    """Yield what speaks against HU, the most telling first."""
    if not np.isfinite(scanned).all():
        yield "some values are infinite or NaN"
        return
    if scanned.max() > HIGHEST_HU:
        yield f"CT ends at {HIGHEST_HU:g} HU (padding that no attribute names, or a window)"
    filling = _filling(image, padding)
    if filling is not None:
        guess = _guess(filling) or " (padding that no attribute names)"
        yield f"a part of the picture is filled with {filling:g}, where air is near -1000{guess}"
    below = scanned[scanned < LOWEST_AIR_HU]
    if below.size > PLATEAU * scanned.size and _share_of_commonest(below) < PADDING:
        yield f"values far below air fill {below.size / scanned.size:.0%} of the picture, and no padding is like that"
    seen = scanned[scanned >= LOWEST_AIR_HU]
    if not seen.size:
        yield "nothing lies above air"
        return
    yield from _faults_of_air(seen)
    yield from _faults_of_tissue(seen)


def _faults_of_air(seen: Image) -> Iterator[str]:
    low = seen.min()
    if low > CLIPPED_AIR_HU and (share := np.mean(seen == low)) > PLATEAU:
        yield f"the lowest value, {low:g}, fills {share:.0%} of the picture, where air is near -1000{_guess(low)}"
    gas = seen[seen < GAS_HU]
    # Padding may lie where air should: what is left without the lowest value must look like gas too.
    rest = gas[gas > low]
    for values, highest in ((gas, HIGHEST_AIR_HU), (rest, LUNG_HU)):
        if values.size >= GAS * seen.size and (level := np.percentile(values, 5)) > highest:
            yield f"gas lies at {level:.0f}, where air is near -1000"
    if gas.size < GAS * seen.size and not _known_tissue(seen):
        yield f"it shows neither air near -1000 nor fat, soft tissue and bone{_guess(low)}"


def _faults_of_tissue(seen: Image) -> Iterator[str]:
    body = seen[seen > BODY_HU]
    low, high = SOFT_TISSUE_HU
    if body.size > PLATEAU * seen.size and (share := np.mean((body > low) & (body < high))) < SOFT_TISSUE:
        yield f"{share:.1%} of the body are soft tissue, within {low:g} to {high:g}"
    if not body.size:
        return
    first, middle, last = np.percentile(body, (1, 50, 99))
    if middle < LEANEST_HU or 0 < last - first < FLATTEST_HU:
        yield f"the body lies at {middle:.4g}, from {first:.4g} to {last:.4g}, and is no fat, muscle and bone"


def _known_tissue(seen: Image) -> bool:
    """Say whether a picture from within a body, without gas, shows fat, soft tissue and bone where HU have them."""
    fat, middle, bone = np.percentile(seen, (0.5, 50, 99.5))
    return bool(fat <= -50 and -150 < middle < 200 and bone >= 150)


def _guess(low: float) -> str:
    """Say what a lowest value of about 0 or 24 comes from: air is −1000, and 1000 or 1024 were added."""
    return " (HU + 1024 whose intercept was lost, a mask, or filled with 0)" if -60 <= low <= 90 else ""


def _share_of_commonest(values: Image) -> float:
    """Return the part that the few commonest values have: all of padding and phantoms, little where there is noise."""
    _, counts = np.unique(np.rint(values), return_counts=True)
    return float(np.sort(counts)[-COMMONEST:].sum() / values.size)


def _filling(image: Image, padding: NDArray[np.bool_]) -> float | None:
    """Return the one value, not air, of a region that begins in a corner or, where there is noise, lies anywhere.

    The highest value counts in corners alone: elsewhere it may be metal, see `clipped`.
    """
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        value = float(image[row, column])
        if not padding[row, column] and value > HIGHEST_AIR_HU:
            labels, _ = ndimage.label(image == value)
            if np.count_nonzero(labels == labels[row, column]) >= max(9, CORNER * image.size):
                return value
    inner = image[1:-1, 1:-1]
    highest = min(METAL_HU, float(image[~padding].max()))
    flat = (inner > HIGHEST_AIR_HU) & (inner < highest) & ~padding[1:-1, 1:-1]
    body = inner[flat]
    for row, column in ((0, 1), (2, 1), (1, 0), (1, 2)):
        flat &= inner == image[row : row + inner.shape[0], column : column + inner.shape[1]]
    if np.count_nonzero(flat) < HOLE * image.size or _share_of_commonest(body) > PHANTOM:
        return None
    values, counts = np.unique(inner[flat], return_counts=True)
    value = float(values[counts.argmax()])
    if value and SOFT_TISSUE_HU[0] < value < SOFT_TISSUE_HU[1]:
        return None  # strong compression makes soft tissue even too, at its own value
    labels, _ = ndimage.label(flat & (inner == value))
    return value if np.bincount(labels[labels > 0]).max() > HOLE * image.size else None


def _density_below(body: Image, top: float) -> float:
    """Return how many pixels have any one value, on average over the 100 HU below the highest."""
    return np.count_nonzero((body >= top - 100) & (body < top)) / 100
