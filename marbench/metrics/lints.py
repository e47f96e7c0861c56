"""What is wrong with an image that is no picture of its case: another unit, another place, another orientation.

A metric would give each of these a number. The image is compared with the truth, which it resembles however well or
badly a method works; thresholds are such that neither the uncorrected image nor a poor method is meant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from marbench.metrics.fidelity import hu_image, pixel_mask

__all__ = ["Fault", "faults"]

Image = NDArray[np.float64]

_AIR, _SOFT = (-3000.0, -900.0), (-150.0, 200.0)
_CLIP = (-1000.0, 500.0)  # metal and its streaks are not to outvote anatomy
_BLUR, _COARSE = 1.5, 128
# A wrong orientation or place is one that, undone, brings more than this share of the pixels nearer to the truth. On
# mini, of the right images of all methods it is 0.35 at most for a turn and 0.65 for a move, both without correction.
_TURNED, _MOVED = 0.5, 0.68
_OTHER_TISSUE, _EDGE, _FEW = 60.0, 8.0, 0.002  # HU, HU, part of the pixels
_CUT_PIXELS, _SHARE, _FEW_HU = 9, 0.02, 100.0
_CUT_SHARE, _CUT_HU = 0.001, 120.0


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with an image: its name, what was seen, and what to do."""

    name: str
    seen: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}: {self.seen}. {self.remedy}"


def faults(image: ArrayLike, truth: ArrayLike, metal_mask: ArrayLike) -> tuple[Fault, ...]:
    """Return what is wrong with an image as a picture of a case.

    Parameters
    ----------
    image : real array ``(rows, columns)``
        What a method returned, meant to be in HU.
    truth : real array ``(rows, columns)``
        The true image in HU; where nobody knows it, the uncorrected one does.
    metal_mask : bool array ``(rows, columns)``

    Returns
    -------
    tuple of Fault
        Empty for a picture of the case. Named ``shape``, ``not finite``, ``constant``, ``attenuation``, ``8 bit``,
        ``window``, ``offset``, ``scaled values``, ``metal cut out``, ``transposed``, ``flipped``, ``rotated``,
        ``shifted`` or ``field of view``.

    Raises
    ------
    MetricError
        ``metal_mask`` is no boolean mask ``(rows, columns)``, or ``truth`` is no real numbers or of another shape.
    """
    given, metal = np.asarray(image), pixel_mask(metal_mask)
    true = hu_image(truth, "truth", metal.shape).astype(np.float64)
    if given.shape != true.shape:
        return (
            Fault(
                "shape",
                f"expected (rows, columns) = {true.shape}, got {given.shape}",
                "Reconstruct on the grid of the benchmark, and save one image per file.",
            ),
        )
    values = given.astype(np.float64)
    if bad := int((~np.isfinite(values)).sum()):
        remedy = "Fill the pixels of metal, and those outside the field of view, with HU."
        return (Fault("not finite", f"{bad} of {values.size} values are NaN or infinite", remedy),)
    if values.min() == values.max():
        remedy = "See whether the right array was saved."
        return (Fault("constant", f"every pixel is {values.flat[0]:g}", remedy),)
    if metal.all() or true.min() == true.max():  # there is nothing to compare with
        return ()
    # In a wrong unit nothing else can be told.
    if wrong := _unit(values, true, ~metal):
        return (wrong,)
    if wrong := _cut_off(values[~metal], true[~metal]):
        return (wrong,)
    return tuple(filter(None, (_place(values, true, metal), _cut_out(values, true, metal))))


def _unit(image: Image, truth: Image, tissue: NDArray[np.bool_]) -> Fault | None:
    """Return what is wrong with the values, as air and soft tissue show it."""
    # Medians, sorted before: whatever the orientation, a body has as much air and as much soft tissue.
    low, high = float(image.min()), float(image.max())
    span = f"values from {low:.4g} to {high:.4g}"
    air, soft = (_share(truth[tissue], image[tissue], bounds) for bounds in (_AIR, _SOFT))
    if air is None or soft is None:  # a field of view within the body
        air, soft = (float(truth.min()), low), (float(truth.max()), high)
        if high - low > _FEW_HU:
            return None
    contrast = (soft[1] - air[1]) / (soft[0] - air[0])
    if low >= 0 and high <= 255 and contrast > 0.01 and high > 50:
        return Fault("8 bit", f"{span}, a windowed picture", "Hand in HU as float32 or 16 bits, not as grey levels.")
    if abs(contrast) < 0.02 or high - low < 5:
        remedy = "HU = 1000 (mu / mu_water - 1), in the units of mu_water; the README of the export has its number."
        return Fault("attenuation", f"{span}, which are no HU", remedy)
    told = f"air is {air[1]:.0f} and soft tissue {soft[1]:.0f}, in truth {air[0]:.0f} and {soft[0]:.0f}"
    if not 0.6 < contrast < 1.5 and low > truth.min() + 200 and (image == low).mean() > 0.02:
        return Fault("window", f"{span}, cut off below", "Hand in HU without a display window.")
    if not 0.6 < contrast < 1.5:
        return Fault("scaled values", told, "Hand in HU: water is 0, air is -1000.")
    if min(air[1] - air[0], soft[1] - soft[0]) > 300 or max(air[1] - air[0], soft[1] - soft[0]) < -300:
        return Fault("offset", told, "Subtract what was added, often 1000 or 1024: water is 0, air is -1000.")
    return None


def _cut_off(image: Image, truth: Image) -> Fault | None:
    """Return a fault where many values are the largest or least there is, and those of the truth go far beyond."""
    for end, sign in (("above", 1.0), ("below", -1.0)):
        limit = (sign * image).max()
        # Nothing is below air: what the truth has there is noise and streaks, and an image without them is no window.
        if end == "below" and sign * limit <= _CLIP[0]:
            continue
        share = float((sign * image == limit).mean())
        # Not pixel by pixel: as in `_unit`, wherever in the picture these values lie.
        beyond = float((sign * truth > limit + _CUT_HU).mean())
        if min(share, beyond) > _CUT_SHARE:
            seen = f"{share:.1%} of the pixels are {sign * limit:g}, cut off {end}"
            return Fault("window", seen, "Hand in HU without a display window; -1024 to 3071 is wide enough.")
    return None


def _share(truth: Image, image: Image, bounds: tuple[float, float]) -> tuple[float, float] | None:
    """Return the median of the truth between bounds, and the image's value of the same rank; None of few pixels."""
    below, upto = float((truth < bounds[0]).mean()), float((truth <= bounds[1]).mean())
    if upto - below < _SHARE:
        return None
    rank = (below + upto) / 2
    return float(np.quantile(truth, rank)), float(np.quantile(image, rank))


def _cut_out(image: Image, truth: Image, metal: NDArray[np.bool_]) -> Fault | None:
    """Return a fault where the metal was replaced by a number instead of tissue or metal."""
    inside = image[metal & (truth > _AIR[1] + 400)]
    if inside.size < _CUT_PIXELS or np.ptp(inside) > 0 or inside[0] > 1000:
        return None
    remedy = "Leave the metal in the image, or what the method puts in its place."
    return Fault("metal cut out", f"all {inside.size} pixels of metal are {inside[0]:g}", remedy)


@dataclass(frozen=True)
class _Guess:
    name: str
    what: str
    remedy: str
    picture: Image
    least: float = _EDGE
    limit: float = _MOVED


@dataclass(frozen=True)
class _Pair:
    """Image and truth, blurred alike, and the pixels in which they are compared."""

    image: Image
    truth: Image
    weight: NDArray[np.bool_]

    @classmethod
    def of(cls, image: Image, truth: Image, metal: NDArray[np.bool_]) -> _Pair:
        # Resampling smooths, and a smoother picture of noise resembles more by itself: hence the blur, of both.
        one, other = (ndimage.gaussian_filter(np.clip(each, *_CLIP), _BLUR) for each in (image, truth))
        return cls(one, other, ~ndimage.binary_dilation(metal, iterations=2))

    def coarse(self) -> _Pair:
        """Return every second, third … pixel of a large image: angles and sizes show there as well, and faster."""
        step = max(1, min(self.image.shape) // _COARSE)
        return _Pair(self.image[::step, ::step], self.truth[::step, ::step], self.weight[::step, ::step])

    def difference(self, picture: Image) -> float:
        """Return by how many HU a picture differs from the truth, on average."""
        return float(np.abs(picture - self.truth)[self.weight].mean())

    def nearer(self, picture: Image, least: float) -> float:
        """Return in what share of pixels at least a picture lies nearer to the truth than the image, where they differ.

        Only that counts, how many they are: no streak outvotes the others, however strong it is.

        Parameters
        ----------
        least : float
            HU by which they have to differ. Of what edges alone do, as in a small shift, the larger part counts.
        """
        apart = np.abs(picture - self.image)
        counted = self.weight & (apart > least)
        if counted.sum() < max(_CUT_PIXELS, _FEW * counted.size):
            return 0.0
        if least < _OTHER_TISSUE:
            counted &= apart >= np.quantile(apart[counted], 0.7)
        before, after = (np.abs(each[counted] - self.truth[counted]) for each in (self.image, picture))
        # Of n pixels chance alone makes a share uncertain by half of 1/√n, of neighbours that are alike by more.
        return float((after < before).mean()) - 1 / math.sqrt(counted.sum())


def _place(image: Image, truth: Image, metal: NDArray[np.bool_]) -> Fault | None:
    """Return a fault where the image lies clearly nearer to the truth once it is turned, moved or resized."""
    full = _Pair.of(image, truth, metal)
    few = full.coarse()
    tried = ((full, _turns(full.image)), (full, _moves(full.image, full.truth)), (few, _resampled(few.image)))
    shares = [(pair.nearer(guess.picture, guess.least), pair, guess) for pair, guesses in tried for guess in guesses]
    sure = [each for each in shares if each[0] > each[2].limit]
    if not sure:
        return None
    # A little of a large move is nearer everywhere, too: of all that are sure the one that leaves least.
    share, _, best = min(sure, key=lambda each: each[1].difference(each[2].picture))
    seen = f"{best.what}, it is nearer to the truth in at least {share:.0%} of the pixels that this changes"
    return Fault(best.name, seen, best.remedy)


_ROWS_FIRST = "Row 0 is the top, column 0 the left: rows first, not columns."
_TURN = "Turn it: row 0 is the top, column 0 the left."
_SYMMETRIES: tuple[tuple[str, str, str, Callable[[Image], Image]], ...] = (
    ("flipped", "upside down", "Flip it up-down: row 0 is the top.", lambda a: a[::-1]),
    ("flipped", "mirrored", "Flip it left-right: column 0 is the left.", lambda a: a[:, ::-1]),
    ("rotated", "turned by 180°", _TURN, lambda a: a[::-1, ::-1]),
    ("transposed", "transposed", _ROWS_FIRST, lambda a: a.T),
    ("transposed", "transposed and turned by 180°", _ROWS_FIRST, lambda a: a[::-1, ::-1].T),
    ("rotated", "turned by 90°", _TURN, lambda a: a.T[::-1]),
    ("rotated", "turned by 270°", _TURN, lambda a: a.T[:, ::-1]),
)
_SHIFT_REMEDY = "The isocentre is the centre of the image, between the middle pixels where their number is even."


def _turns(image: Image) -> Iterator[_Guess]:
    for name, what, remedy, turned in _SYMMETRIES:
        if image.shape == turned(image).shape:
            yield _Guess(name, f"taken as {what}", remedy, turned(image), _OTHER_TISSUE, _TURNED)


def _moves(image: Image, truth: Image) -> Iterator[_Guess]:
    for rows, columns in _shifts(image, truth):
        moved = ndimage.shift(image, (rows, columns), order=1, mode="nearest")
        what = f"moved by {rows:+g} rows and {columns:+g} columns"
        yield _Guess("shifted", what, _SHIFT_REMEDY, moved)


def _resampled(image: Image) -> Iterator[_Guess]:
    for scale in (0.5, *np.round(np.arange(0.7, 1.42, 0.04), 2), 2.0):
        remedy = "Reconstruct with the pixel size of the benchmark: the README of the export has it."
        resized = _about_centre(image, np.eye(2) / scale)
        yield _Guess("field of view", f"made {scale:g} times as large", remedy, resized)
    for degrees in (*range(-45, 0, 5), -2, 2, *range(5, 46, 5)):
        angle = np.deg2rad(degrees)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        remedy = "View 0 is at the angle that the README of the export gives."
        yield _Guess("rotated", f"turned by {degrees}°", remedy, _about_centre(image, turn))


def _about_centre(image: Image, matrix: NDArray[np.float64]) -> Image:
    centre = (np.array(image.shape) - 1) / 2
    resampled: Image = ndimage.affine_transform(image, matrix, centre - matrix @ centre, order=1, mode="nearest")
    return resampled


def _shifts(image: Image, truth: Image) -> Iterator[tuple[float, float]]:
    """Yield the shift of the highest cross-correlation, and those of a pixel around none."""
    one, other = (np.fft.rfft2(each - each.mean()) for each in (image, truth))
    correlation = np.fft.irfft2(other * one.conj(), s=image.shape)
    peak = np.unravel_index(int(correlation.argmax()), image.shape)
    rows, columns = ((int(at) + size // 2) % size - size // 2 for at, size in zip(peak, image.shape, strict=True))
    if (rows, columns) != (0, 0):
        yield rows, columns
    for step in (0.5, 1.0):
        yield from ((step * a, step * b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0))
