"""Whether an image lies where the truth lies: not mirrored, turned, transposed, shifted or of another scale.

Candidates are compared by the mean distance of an answer to the truth after each of them, away from metal. A correct
method is nearest to the truth as it is, by far; one of them must be nearer by a clear margin to be named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import registration

from marbench.conformance.specimens import Pair
from marbench.conformance.verdict import Finding, failed, ok

__all__ = ["Fit", "check_position", "fit_position"]

NAME = "position"
# What lies beyond matters little: bone decides where a body is, but its streaks do not.
_RANGE_HU = (-1000.0, 600.0)
_MARGIN, _GOOD_HU = 0.7, 5.0
_AIR = -1000.0

Array = NDArray[np.float32]
_TURNED: dict[str, tuple[Callable[[Array], Array], str]] = {
    "upside down": (np.flipud, "flip the rows: row 0 is anterior"),
    "mirrored left to right": (np.fliplr, "flip the columns: column 0 is the patient's right"),
    "transposed": (np.transpose, "exchange rows and columns: images are (rows, columns)"),
    "transposed about the other diagonal": (lambda image: np.rot90(image, 2).T, "exchange rows and columns, flip both"),
    "rotated by 90° counter-clockwise": (lambda image: np.rot90(image, 1), "rotate it back: numpy.rot90(image, -1)"),
    "rotated by 180°": (lambda image: np.rot90(image, 2), "rotate it back: numpy.rot90(image, 2)"),
    "rotated by 90° clockwise": (lambda image: np.rot90(image, -1), "rotate it back: numpy.rot90(image, 1)"),
}


class Candidate(NamedTuple):
    """A transform by its name, what to do where an image has undergone it, and itself."""

    name: str
    advice: str
    move: Callable[[Array], Array]


class Fit(NamedTuple):
    """Mean distances in HU of answers to the truth: as it is, and after the candidate that brings it nearest."""

    kept: float
    moved: float
    candidate: Candidate

    @property
    def is_moved(self) -> bool:
        """Whether the candidate explains the answers better, by a clear margin."""
        return self.kept > _GOOD_HU and self.moved < _MARGIN * self.kept


def fit_position(pairs: Sequence[Pair]) -> Fit:
    """Find the transform after which the truth looks most like the answers."""
    candidates = list(_candidates(pairs))
    distances = [_distance(pairs, candidate.move) for candidate in candidates]
    best = int(np.argmin(distances))
    return Fit(_distance(pairs, lambda image: image), distances[best], candidates[best])


def check_position(fit: Fit) -> Finding:
    """Say where the answers lie."""
    if not fit.is_moved:
        return ok(NAME, f"{fit.kept:.0f} HU from the truth as it is, at least {fit.moved:.0f} HU wherever else")
    found = f"{fit.candidate.name}: {fit.moved:.0f} HU from the truth after that, {fit.kept:.0f} HU as it is"
    return failed(NAME, found, fit.candidate.advice)


def _candidates(pairs: Sequence[Pair]) -> Iterator[Candidate]:
    if pairs[0].truth.shape[0] == pairs[0].truth.shape[1]:
        for name, (move, advice) in _TURNED.items():
            yield Candidate(name, advice, move)
    shift = _shift(pairs)
    if max(map(abs, shift)) >= 0.5:
        rows, columns = shift
        yield Candidate(
            f"shifted by {rows:+.1f} rows and {columns:+.1f} columns",
            "the isocentre is the middle of the image, between the two middle pixels of an even grid",
            lambda image: _move(image, np.eye(2), shift),
        )
    for angle in (*range(-45, 0, 3), *range(3, 46, 3)):
        yield Candidate(f"rotated by about {angle}°", "see from where angles count", _turn(angle))
    for scale in (2.0 ** (np.arange(-16, 17) / 16)).tolist():
        if scale != 1:
            yield Candidate(
                f"wrong field of view: objects are about {scale:.2f} times as large as they should be",
                "see the size of a pixel: self.context.grid.pixel, in cm",
                lambda image, scale=scale: _move(image, np.eye(2) / scale, (0.0, 0.0)),  # type: ignore[misc]
            )


def _turn(angle: float) -> Callable[[Array], Array]:
    """Return what turns an image counter-clockwise by an angle in degrees; row 0 is at the top."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return lambda image: _move(image, np.array([[c, s], [-s, c]]), (0.0, 0.0))


def _move(image: Array, matrix: NDArray[np.float64], shift: Sequence[float]) -> Array:
    """Return an image whose pixel p shows what was at ``matrix @ (p − centre − shift) + centre``; air comes in."""
    centre = (np.array(image.shape) - 1) / 2
    offset = centre - matrix @ (centre + np.array(shift))
    moved: Array = ndimage.affine_transform(image, matrix, offset, order=1, cval=_AIR)
    return moved


def _shift(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Return the rows and columns by which answers are shifted, by their correlation with the truths."""
    shifts = []
    for one in pairs:
        truth, answer = (np.where(one.metal, 0, np.clip(image, *_RANGE_HU)) for image in (one.truth, one.answer))
        shift, *_ = registration.phase_cross_correlation(  # type: ignore[no-untyped-call]
            answer, truth, upsample_factor=10, normalization=None
        )
        shifts.append(shift)
    rows, columns = np.median(shifts, axis=0).tolist()
    return rows, columns


def _distance(pairs: Sequence[Pair], move: Callable[[Array], Array]) -> float:
    """Return the mean distance of answers to moved truths in HU, away from metal where it was and where it went."""
    distances = []
    for one in pairs:
        moved, metal = move(one.truth), move(one.metal.astype(np.float32)) > 0.01
        error = np.abs(np.clip(one.answer, *_RANGE_HU) - np.clip(moved, *_RANGE_HU))
        # Mask bits that came in with the air are below zero.
        distances.append(error[~(metal | one.metal)].mean())
    return float(np.mean(distances))
