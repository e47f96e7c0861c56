"""Scan geometries and the image grid: immutable values, lengths in cm, angles in radians.

Conventions, the same everywhere in marbench
--------------------------------------------
* The isocentre is the centre of the image; x points right, y points **up**. Pixel (row r, column c) of an
  ``R × C`` grid has its centre at ``x = (c − (C−1)/2)·pixel``, ``y = ((R−1)/2 − r)·pixel``.
* A line is ``(θ, t)``: all points with ``x cos θ + y sin θ = t``. ``(θ + π, −t)`` is the same line.
* Fan beam: the source of view β stands at ``D·(−sin β, cos β)``; the ray at fan angle γ is the line
  ``θ = β + γ``, ``t = D sin γ`` (Kak & Slaney 1988, §3.4.1).
* Sinograms are ``(views, bins)``, views and bins in increasing angle and increasing γ (or t).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from marbench.errors import GeometryError

__all__ = ["FanBeam", "Geometry", "ImageGrid", "ParallelBeam"]

FloatArray = NDArray[np.floating]
_GAP = math.radians(10)


@dataclass(frozen=True)
class ImageGrid:
    """A grid of square pixels centred on the isocentre.

    Parameters
    ----------
    rows, columns : int
        Number of pixels.
    pixel : float
        Pixel size in cm.
    """

    rows: int
    columns: int
    pixel: float

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise GeometryError(f"ImageGrid needs at least one pixel. Got {self.rows} × {self.columns}.")
        _check_positive("ImageGrid pixel (cm)", self.pixel)

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, columns)``."""
        return self.rows, self.columns

    @property
    def x(self) -> FloatArray:
        """Column centres in cm, left to right, shape ``(columns,)``."""
        return (np.arange(self.columns) - (self.columns - 1) / 2) * self.pixel

    @property
    def y(self) -> FloatArray:
        """Row centres in cm, top to bottom (decreasing), shape ``(rows,)``."""
        return ((self.rows - 1) / 2 - np.arange(self.rows)) * self.pixel

    @property
    def field_of_view(self) -> tuple[float, float]:
        """Height and width in cm."""
        return self.rows * self.pixel, self.columns * self.pixel


@dataclass(frozen=True)
class FanBeam:
    """A fan-beam scan: a full circle of source positions, a part of one, or a list of them.

    Parameters
    ----------
    views, bins : int
        Number of source positions and of detector cells.
    source_distance : float
        D, from the source to the isocentre, cm.
    pitch : float
        Distance of two neighbouring cells: an angle in radians on an arc detector centred on the source,
        a length in cm on a flat one.
    detector : {"arc", "flat"}
    detector_distance : float
        From the source to the flat detector, cm. Unused, and 0, for an arc detector.
    start : float
        β of view 0, radians.
    offset : float
        How far the detector is shifted towards positive γ, in cells: 0 is symmetric about the central ray. A quarter
        makes opposite views interleave; the inversion does not use that, see `marbench.ct.rebinning.parallel_beam_of`.
        Half of the bins, nearly, doubles the field of view of a full circle.
    arc : float
        What the views cover, radians: they are ``arc / views`` apart. 2π is a full circle.
    clockwise : bool
        The source turns towards smaller β.
    angles : tuple of float
        β of every view in radians, each further on than the one before by less than half a turn; then ``start`` and
        ``arc`` are 0. The views close the circle where the last and the first leave no gap larger than one and a half
        times the largest between the others. A gap within the list, of 10° and three times the usual step, is refused.
    """

    views: int
    bins: int
    source_distance: float
    pitch: float
    detector: Literal["arc", "flat"] = "arc"
    detector_distance: float = 0.0
    start: float = 0.0
    offset: float = 0.0
    arc: float = 2 * math.pi
    clockwise: bool = False
    angles: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _check_counts("FanBeam", self.views, self.bins)
        _check_positive("FanBeam source_distance (cm)", self.source_distance)
        _check_positive("FanBeam pitch", self.pitch)
        if self.detector not in ("arc", "flat"):
            raise GeometryError(f"FanBeam detector must be 'arc' or 'flat'. Got {self.detector!r}.")
        if self.detector == "flat":
            _check_positive("FanBeam detector_distance (cm) of a flat detector", self.detector_distance)
        elif self.detector_distance != 0.0:
            raise GeometryError("FanBeam detector_distance belongs to a flat detector; leave it 0 for an arc.")
        if not abs(self.offset) <= (self.bins - 1) / 2:
            raise GeometryError(
                "FanBeam offset, in cells, must leave the central ray on the detector: at most "
                f"{(self.bins - 1) / 2:g} either way. Got {self.offset!r}."
            )
        if self.detector == "arc" and self.widest >= math.pi / 2:
            raise GeometryError(
                f"FanBeam opens to ±{math.degrees(self.widest):.1f}°; it must stay below ±90°. Take fewer cells, or a "
                f"smaller pitch: it is {math.degrees(self.pitch):g}°, {self.pitch:g} radians."
            )
        self._check_angles()

    def _check_angles(self) -> None:
        # A list, as from JSON, could not be hashed, and an array is neither true nor false.
        object.__setattr__(self, "angles", tuple(map(float, self.angles)))
        if not self.angles:
            if not (math.isfinite(self.start) and 0 < self.arc <= 2 * math.pi * (1 + 1e-12)):
                raise GeometryError(
                    f"FanBeam arc lies between 0 and 2π radians, 360°. Got {self.arc!r}: {math.degrees(self.arc):g}°."
                )
            return
        object.__setattr__(self, "start", 0.0)
        object.__setattr__(self, "arc", 0.0)
        if len(self.angles) != self.views:
            raise GeometryError(f"FanBeam angles names {len(self.angles)} views; views is {self.views}.")
        steps = np.diff(self.angles) * self._sense
        # NaN fails every comparison.
        if not ((steps > 0).all() and (steps < math.pi).all() and steps.sum() < 2 * math.pi):
            raise GeometryError(
                f"FanBeam angles must {'fall' if self.clockwise else 'rise'} from view to view, by less than half a "
                "turn each and less than a whole one together: a last view that repeats the first one is left out. "
                f"They go from {math.degrees(self.angles[0]):g}° to {math.degrees(self.angles[-1]):g}°."
            )
        # Within a list, views between two neighbours are interpolated, however far apart they are.
        if len(steps) > 1 and steps.max() > max(3 * float(np.median(steps)), _GAP):
            before = int(steps.argmax())
            first, second = (f"{math.degrees(self.angles[index]):g}°" for index in (before, before + 1))
            raise GeometryError(
                f"FanBeam angles leave a gap between {first} and {second}. A list begins behind its gap: with "
                f"{second}, and what stood before the gap comes last, a turn further on. A scan in several pieces "
                "cannot be reconstructed."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """``(views, bins)``."""
        return self.views, self.bins

    @property
    def _sense(self) -> int:
        return -1 if self.clockwise else 1

    @property
    def beta(self) -> FloatArray:
        """Source angles β in radians, shape ``(views,)``."""
        if self.angles:
            return np.array(self.angles)
        return self.start + np.arange(self.views) * (self._sense * self.arc / self.views)

    @property
    def is_circle(self) -> bool:
        """Whether the views close a circle, so that every line is measured from both ends."""
        if self.views < 3:  # of two views half a turn apart, each sees the lines through one point alone
            return False
        if not self.angles:
            return self.arc > 2 * math.pi * (1 - 1e-9)
        travelled = self.travel(self.beta)
        return bool(2 * math.pi - travelled[-1] <= 1.5 * np.diff(travelled).max())

    @property
    def is_even_circle(self) -> bool:
        """Whether the views divide a full circle evenly, so that it may begin with any of them."""
        return self.is_circle and not self.angles

    def travel(self, beta: FloatArray) -> FloatArray:
        """Return how far the source has turned since view 0 when it is at β: 0 … 2π, whichever way it turns."""
        return np.asarray((self._sense * (beta - self.beta[0])) % (2 * math.pi))

    @property
    def mean_step(self) -> float:
        """Mean distance of neighbouring views, radians."""
        if not self.angles:
            return self.arc / self.views
        if self.is_circle:
            return 2 * math.pi / self.views
        return float(self.travel(self.beta)[-1]) / max(1, self.views - 1)

    def view_of_beta(self, beta: FloatArray) -> FloatArray:
        """Return the fractional view index at which the source is at β (radians).

        Of a circle it is meant modulo ``views``. Of a part of one it is NaN where the source never was.
        """
        if self.is_even_circle:
            # Not by `travel`: its remainder of radians would cost the last bits.
            return np.asarray(self._sense * (beta - self.start) * (self.views / (2 * math.pi)))
        travelled, there = self.travel(self.beta), self.travel(beta)
        index = np.arange(self.views, dtype=float)
        if self.is_circle:
            travelled, index = np.append(travelled, 2 * math.pi), np.append(index, float(self.views))
        # What rounding has put just before view 0 is at view 0.
        there = np.where(there > 2 * math.pi - 1e-9, 0.0, there)
        return np.asarray(np.interp(there, travelled, index, right=math.nan))

    @property
    def gamma(self) -> FloatArray:
        """Fan angles γ of the cell centres in radians, increasing, shape ``(bins,)``."""
        u = (np.arange(self.bins) - (self.bins - 1) / 2 + self.offset) * self.pitch
        return u if self.detector == "arc" else np.arctan(u / self.detector_distance)

    @property
    def widest(self) -> float:
        """The largest fan angle on either side, radians."""
        gamma = self.gamma
        return float(max(-gamma[0], gamma[-1]))

    def bin_of_gamma(self, gamma: FloatArray) -> FloatArray:
        """Return the fractional cell index at which a ray of fan angle ``gamma`` (radians) lands."""
        u = gamma if self.detector == "arc" else np.tan(gamma) * self.detector_distance
        return u / self.pitch + (self.bins - 1) / 2 - self.offset

    @property
    def isocentre_pitch(self) -> float:
        """Distance in cm of neighbouring central rays where they pass the isocentre."""
        if self.detector == "arc":
            return self.source_distance * self.pitch
        return self.pitch * self.source_distance / self.detector_distance

    @property
    def field_radius(self) -> float:
        """Radius in cm of the circle whose every line is measured, if those through it are at all."""
        # On a circle a line that passes one end of the detector comes again from the other side, at −γ.
        gamma = self.gamma
        return self.source_distance * math.sin(self.widest if self.is_circle else min(-gamma[0], gamma[-1]))

    def unmeasured(self, radius: float) -> str | None:
        """Tell what is missing to measure every line through a circle (cm), as far as the detector sees it; or None.

        That takes a turn of π and the opening of the fan: a line (θ, γ) is seen from β = θ − γ or from β = θ + π + γ
        (Parker 1982).
        """
        opening = 2 * math.asin(min(1.0, min(radius, self.field_radius) / self.source_distance))
        covered = 2 * math.pi if self.is_circle else float(self.travel(self.beta)[-1])
        if covered >= math.pi + opening - 1e-6:
            return None
        return (
            f"The views turn by {math.degrees(covered):.1f}° from the first to the last, but lines through the image "
            f"are all measured only from {180 + math.degrees(opening):.1f}° on: half a turn and the opening of the fan"
        )

    def lines(self) -> tuple[FloatArray, FloatArray]:
        """Return ``(θ, t)`` of every ray, each of shape ``(views, bins)``."""
        gamma = self.gamma
        theta = self.beta[:, None] + gamma[None, :]
        return theta, np.broadcast_to(self.source_distance * np.sin(gamma), theta.shape)


@dataclass(frozen=True)
class ParallelBeam:
    """A parallel-beam scan over a half circle, ``θ_k = start + k·π/views``.

    Parameters
    ----------
    views, bins : int
        Number of directions and of detector cells, the cells symmetric about the isocentre.
    spacing : float
        Distance of neighbouring rays, cm.
    start : float
        θ of view 0, radians.
    """

    views: int
    bins: int
    spacing: float
    start: float = 0.0

    def __post_init__(self) -> None:
        _check_counts("ParallelBeam", self.views, self.bins)
        _check_positive("ParallelBeam spacing (cm)", self.spacing)

    @property
    def shape(self) -> tuple[int, int]:
        """``(views, bins)``."""
        return self.views, self.bins

    @property
    def theta(self) -> FloatArray:
        """Directions θ in radians, shape ``(views,)``."""
        return self.start + np.arange(self.views) * (math.pi / self.views)

    @property
    def t(self) -> FloatArray:
        """Ray offsets from the isocentre in cm, shape ``(bins,)``."""
        return (np.arange(self.bins) - (self.bins - 1) / 2) * self.spacing

    @property
    def field_radius(self) -> float:
        """Radius in cm of the circle whose every line is measured."""
        return float(self.t[-1])

    def lines(self) -> tuple[FloatArray, FloatArray]:
        """Return ``(θ, t)`` of every ray, each of shape ``(views, bins)``."""
        theta, t = np.meshgrid(self.theta, self.t, indexing="ij")
        return theta, t


Geometry = FanBeam | ParallelBeam


def _check_counts(what: str, views: int, bins: int) -> None:
    if views < 1 or bins < 2:
        raise GeometryError(f"{what} needs at least 1 view and 2 bins. Got {views} views, {bins} bins.")


def _check_positive(what: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise GeometryError(f"{what} must be a positive number. Got {value!r}.")
