"""Who lies on the table: what is individual comes from named random streams, so that parts never disturb each other."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Person", "Stream"]


_CIRCLE = np.arange(72) * (2 * math.pi / 72)


class Stream:
    """Random numbers for one part of one patient.

    Parameters
    ----------
    entropy : sequence of int
    z : float
        Position of the slice along the patient, cm: `drift` changes smoothly with it, the other draws do not.
    """

    def __init__(self, entropy: Sequence[int], z: float) -> None:
        self._rng = np.random.default_rng(np.random.SeedSequence(entropy))
        self._z = z

    def uniform(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * self._rng.random()

    def normal(self, mean: float, deviation: float) -> float:
        """Return a normal number, no further than 2.5 deviations from the mean."""
        return mean + deviation * max(-2.5, min(2.5, self._rng.standard_normal()))

    def chance(self, probability: float) -> bool:
        """Return true with a probability."""
        return bool(self._rng.random() < probability)

    def drift(self, low: float, high: float) -> float:
        """Return a number in [low, high] that wanders slowly along the body."""
        phase, period = self._rng.random(2)
        wave = math.sin(2 * math.pi * (phase + self._z / (14 + 14 * period)))
        return low + (high - low) * (0.5 + 0.5 * wave)

    def count(self, low: int, high: int) -> int:
        """Return an integer in [low, high]."""
        return int(self._rng.integers(low, high + 1))

    def bumps(self, amplitude: float, orders: int = 6) -> NDArray[np.float64]:
        """Return 72 values (cm) around a contour: a Fourier series whose terms fall with their order."""
        order = np.arange(2, orders + 1)[:, None]
        phase = 2 * math.pi * self._rng.random(order.shape) + 0.05 * order * self._z
        # From the second order on: the first would only shift the contour.
        weight = amplitude * self._rng.standard_normal(order.shape) / order
        total: NDArray[np.float64] = (weight * np.cos(order * _CIRCLE + phase)).sum(axis=0)
        return total

    def shuffled(self, count: int) -> list[int]:
        """Return 0 … count − 1 in random order."""
        return [int(i) for i in self._rng.permutation(count)]


class Person:
    """One patient at one table position.

    Parameters
    ----------
    entropy : tuple of int
        Seeds the patient; equal for all slices of one patient.
    number : int
        Of the slice within the patient.
    z : float
        Distance of the slice from the patient's first, cm.
    level : float
        Where in the region the slice lies, 0 (towards the head) to 1 (towards the feet).
    """

    def __init__(self, entropy: tuple[int, ...], number: int, z: float, level: float) -> None:
        self._entropy = entropy
        self._number = number
        self.z = z
        self.level = level
        body = self.stream("habitus")
        self.female = body.chance(0.5)
        self.age = body.uniform(0, 1)  # 0 young, 1 old
        # The order of these draws is part of every picture.
        self.fat = body.uniform(0, 1) ** 1.3  # 0 thin, 1 obese
        self.density = body.uniform(0.78, 1.22) * (1.06 - 0.16 * self.age)  # of bone
        self.contrast = body.uniform(90, 260) if body.chance(0.55) else 0.0  # HU that iodine adds to arteries
        self.muscle_hu = body.uniform(44, 62) - 8 * self.fat
        self.fat_hu = body.uniform(-112, -94)

    def stream(self, part: str, fresh: bool = False) -> Stream:
        """Return the random numbers of a named part; ``fresh`` ones differ from slice to slice."""
        key = (*self._entropy, zlib.crc32(part.encode()), *((self._number,) if fresh else ()))
        return Stream(key, self.z)

    @cached_property
    def blood_hu(self) -> float:
        """HU of blood in arteries."""
        return 42 + self.contrast

    @cached_property
    def vein_hu(self) -> float:
        """HU of blood in veins."""
        return 42 + 0.55 * self.contrast
