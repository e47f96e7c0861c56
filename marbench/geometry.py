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
    """A full-circle fan-beam scan: ``views`` equally spaced source positions over 2π.

    Parameters
    ----------
    views, bins : int
        Number of source positions and of detector cells. The cells are symmetric about the central ray.
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
    """

    views: int
    bins: int
    source_distance: float
    pitch: float
    detector: Literal["arc", "flat"] = "arc"
    detector_distance: float = 0.0
    start: float = 0.0

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
        if self.detector == "arc" and self.gamma[-1] >= math.pi / 2:
            raise GeometryError(
                f"FanBeam opens to ±{math.degrees(self.gamma[-1]):.1f}°; it must stay below ±90°. "
                "The pitch of an arc detector is in radians."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """``(views, bins)``."""
        return self.views, self.bins

    @property
    def beta(self) -> FloatArray:
        """Source angles β in radians, shape ``(views,)``."""
        return self.start + np.arange(self.views) * (2 * math.pi / self.views)

    @property
    def gamma(self) -> FloatArray:
        """Fan angles γ of the cell centres in radians, increasing and symmetric, shape ``(bins,)``."""
        u = (np.arange(self.bins) - (self.bins - 1) / 2) * self.pitch
        return u if self.detector == "arc" else np.arctan(u / self.detector_distance)

    def bin_of_gamma(self, gamma: FloatArray) -> FloatArray:
        """Return the fractional cell index at which a ray of fan angle ``gamma`` (radians) lands."""
        u = gamma if self.detector == "arc" else np.tan(gamma) * self.detector_distance
        return u / self.pitch + (self.bins - 1) / 2

    @property
    def isocentre_pitch(self) -> float:
        """Distance in cm of neighbouring central rays where they pass the isocentre."""
        if self.detector == "arc":
            return self.source_distance * self.pitch
        return self.pitch * self.source_distance / self.detector_distance

    @property
    def field_radius(self) -> float:
        """Radius in cm of the circle that every view sees whole."""
        return self.source_distance * math.sin(self.gamma[-1])

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
