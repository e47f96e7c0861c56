"""Correlated random fields in continuous space: what tissue looks like without photon noise.

Fields live on one periodic lattice, fine enough for every grid, and are averaged over a pixel's square before they are
sampled, so a coarse picture shows the mean of a fine one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["LATTICE", "Atlas", "atlas"]

LATTICE = 0.04  # cm between lattice points
_SIZE = 1024  # lattice points to a side; a power of two, for wrapping by a mask
_KEY = 0x7E87


@dataclass(frozen=True, eq=False)
class Atlas:
    """Flattened periodic lattices, averaged over one pixel size.

    Attributes
    ----------
    soft : mean 0, variance 1
        Soft tissue: power over 0.25–4 cm.
    broad : mean 0, variance 1
        Slow variation, 2–4 cm: wobble of borders.
    fine : mean 0, variance 1
        0.15–0.4 cm: mottle of stool, marrow and rough borders.
    trabecular : mean 0, variance 1
        Bone struts of about 0.1 cm, skewed towards bright.
    strands : 0 to 1
        Thin crossing septa, mostly 0: fibres in fat, fat planes in muscle.
    vessels : 0 to 1
        Branching threads and dots of 0.1–0.3 cm: vessels of the lung and the mesentery.
    """

    soft: NDArray[np.float32]
    broad: NDArray[np.float32]
    fine: NDArray[np.float32]
    trabecular: NDArray[np.float32]
    strands: NDArray[np.float32]
    vessels: NDArray[np.float32]

    @staticmethod
    def index(x: NDArray[np.float32], y: NDArray[np.float32], shift: tuple[float, float]) -> NDArray[np.int32]:
        """Return the flat index of the lattice point beside each position (cm), on the side of zero."""
        column = ((x + np.float32(shift[0])) * np.float32(1 / LATTICE)).astype(np.int32) & (_SIZE - 1)
        row = ((y + np.float32(shift[1])) * np.float32(1 / LATTICE)).astype(np.int32) & (_SIZE - 1)
        return row * np.int32(_SIZE) + column


@lru_cache(maxsize=2)
def _lattices(seed: int) -> dict[str, NDArray[np.float32]]:
    """Fields of unit pixel aperture, in the order of the attributes of `Atlas`."""
    rng = np.random.default_rng([_KEY, seed])
    fields = {
        "soft": _band(rng, 0.25, 4.0, slope=1.4),
        "broad": _band(rng, 2.0, 5.0, slope=1.0),
        "fine": _band(rng, 0.15, 0.45, slope=0.5),
        "trabecular": _unit(np.exp(0.5 * _band(rng, 0.11, 0.6, slope=0.6))),
    }
    septa = [_ridge(_band(rng, low, 3 * low, slope=0.5), width) for low, width in ((0.5, 0.07), (1.0, 0.05))]
    fields["strands"] = np.maximum(*septa) * np.clip(0.5 + 0.6 * _band(rng, 1.5, 5, slope=1), 0, 1)
    threads = [_ridge(_band(rng, low, 4 * low, slope=0.8), width) for low, width in ((0.35, 0.16), (0.8, 0.1))]
    dots = np.clip((_band(rng, 0.22, 0.8, slope=0.6) - 1.7) * 2.0, 0, 1)
    patches = np.clip(_band(rng, 0.6, 2.5, slope=0.5) * 0.9, 0, 1)
    fields["vessels"] = np.maximum(np.maximum(*threads) * patches, dots)
    return fields


@lru_cache(maxsize=4)
def atlas(seed: int, pixel: float) -> Atlas:
    """Return the fields of a seed as pixels of side ``pixel`` (cm) see them."""
    frequency = np.fft.fftfreq(_SIZE, LATTICE)
    # The mean over a square is a product with sinc in the frequencies of both axes.
    aperture = np.sinc(frequency * pixel)
    square = (aperture[:, None] * aperture[None, : _SIZE // 2 + 1]).astype(np.float32)
    seen = {
        name: fft.irfft2(fft.rfft2(field) * square, s=field.shape).ravel() for name, field in _lattices(seed).items()
    }
    return Atlas(**seen)


@cache
def _frequencies() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the frequencies of a quarter of the plane in 1/cm, and their logarithms."""
    frequency = np.fft.rfftfreq(_SIZE, LATTICE)
    f = np.hypot(frequency[:, None], frequency[None, :])
    f[0, 0] = 1  # the mean, which the gain then removes
    return f, np.log(f)


def _band(rng: np.random.Generator, shortest: float, longest: float, slope: float) -> NDArray[np.float32]:
    """Gaussian field of unit variance with wavelengths of 2·shortest to 2·longest cm, amplitude ~ wavelength^slope."""
    f, logarithm = _frequencies()
    low, high = 1 / (2 * longest), 1 / (2 * shortest)
    gain = np.exp(-np.square(np.square(low / f)) - np.square(np.square(f / high)) - slope * logarithm)
    gain[0, 0] = 0
    # Negative frequencies, which follow in reverse, have the gains of the positive ones.
    gain = np.concatenate([gain, gain[-2:0:-1]]).astype(np.float32)
    white = rng.standard_normal((2, *gain.shape), np.float32)
    spectrum = (white[0] + 1j * white[1]) * gain
    return _unit(fft.irfft2(spectrum, s=(_SIZE, _SIZE)))


def _ridge(field: NDArray[np.float32], width: float) -> NDArray[np.float32]:
    """Lines where the field passes zero: 1 on them, falling over ``width`` standard deviations."""
    ridge: NDArray[np.float32] = np.exp(-0.5 * (field / width) ** 2)
    return ridge


def _unit(field: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = (field - field.mean()) / field.std()
    return unit
