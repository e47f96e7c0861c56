"""Refusing files that do not belong together: every case of others is held to its sinogram before a method sees it.

Limits lie between what was measured of exported cases of our own benchmarks, of 1000 to 2e7 photons a ray, titanium to
tungsten and metals from one pixel on, and of the same cases with a file of another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from marbench.cases.agreement import (
    DARK_HU,
    Image,
    Mask,
    apart,
    brightness,
    grown,
    inverted,
    measured_otherwise,
    missed_and_foreign,
    tissue,
    wrong_unit,
)
from marbench.cases.case import Scan
from marbench.cases.orientation import mask_belongs, misfit, remedy
from marbench.ct.operators import Operators
from marbench.errors import DataError
from marbench.spec import Spec

__all__ = ["LIGHTEST_METAL", "Belonging"]

LIGHTEST_METAL = 2.0
"""1/cm: titanium has 2.4, alumina 0.8."""
_MOST_APART = 0.18
"""See `apart`. Sinograms without metal: 0.03 at most, images projected 0.14; of another patient 0.2 to 0.85."""
_MOST_MISSED = 0.5
"""Part of the metal beside its trace: 0.08 of our own, 0.28 under a threshold that the spec does not name."""
_MOST_FOREIGN = 0.4
"""Part of a trace beside the metal: 0.13 of our own, where a wire is half a pixel wide."""
_LARGE = 30
"""Pixels from which on a mask lies partly on its metal where it is moved a little."""
_BRIGHTER_HU = (1000.0, 400.0)
"""By how much the place is brighter to which a small and a large mask belong: 2500 and 640, five pixels off."""
_BLURRED = 2
"""Pixels within which the brightest place may lie: tungsten darkens its own middle."""


@dataclass(frozen=True, eq=False)
class Belonging:
    """A case of others, and what has to be true of its files.

    Attributes
    ----------
    files : mapping
        Role → name of the file, for messages.
    arrays : mapping
        Role → what it holds, ours in axes and units: ``(views, bins)`` or ``(rows, columns)``.
    scan : Scan
        Made of them.
    spec : Spec
    operators : Operators
    attenuation : float
        Of the metal at the reference energy, 1/cm.
    segmented : bool
        Whether the mask is known to be what a segmentation found, which may lie beside the metal.
    """

    files: Mapping[str, str]
    arrays: Mapping[str, torch.Tensor]
    scan: Scan
    spec: Spec
    operators: Operators
    attenuation: float = LIGHTEST_METAL
    segmented: bool = False

    def check(self) -> None:
        """Raise DataError where a file is not of the same scan as the sinogram, or lies otherwise than described."""
        self._hold_values()
        self._hold_image("uncorrected", self.image, "sinogram")
        self._hold_circle()
        # PEEK and ceramics are no brighter than bone.
        if self.mask.any() and self.attenuation >= LIGHTEST_METAL and not self.segmented:
            self._hold_mask()
        if self.mask.any() and "trace" in self.arrays:
            self._hold_trace()
        self._hold_truth()

    @cached_property
    def mask(self) -> Mask:
        """What methods are told is metal, ``(rows, columns)``."""
        mask: Mask = self.scan.metal_mask[0].cpu().numpy()
        return mask

    @cached_property
    def image(self) -> torch.Tensor:
        """Our reconstruction of the sinogram, HU, ``(rows, columns)``."""
        assert self.spec.recorded is not None
        theirs = self.spec.recorded.image == "theirs"
        return self.operators.reconstruct(self.scan.sinogram[0]) if theirs else self.scan.image[0]

    @cached_property
    def measured(self) -> Image:
        """The same as an array."""
        measured: Image = self.image.cpu().numpy()
        return measured

    @cached_property
    def body(self) -> Mask:
        """Its tissue."""
        return tissue(self.measured, self.mask)

    @cached_property
    def paths(self) -> torch.Tensor:
        """Projections of the mask, of the same grown by a pixel, and of all that is known to be metal, grown."""
        unscored = self.arrays.get("unscored")
        metal = self.mask if unscored is None else self.mask | unscored.cpu().numpy()
        stack = np.stack([self.mask, grown(self.mask), grown(metal)])
        return self.operators.project_mu(torch.from_numpy(stack).to(self.image))

    def _hold_values(self) -> None:
        if why := inverted(float(self.mask.mean())):
            raise DataError(f"{self._name('mask')}: {why}")
        if why := wrong_unit(self.measured, self.mask):
            raise DataError(f"{self._name('sinogram')}: {why} Give scale: 0.1 of lengths in mm, 10 of a tenth.")

    def _hold_circle(self) -> None:
        if why := measured_otherwise(self.scan.sinogram[0].cpu().numpy(), self.spec.geometry):
            raise DataError(f"{self._name('sinogram')}: {why}. Say so in [geometry], or with reverse in its table.")

    def _hold_mask(self) -> None:
        off = f"{self._name('mask')} does not lie on the metal of {self._name('sinogram')}."
        if otherwise := mask_belongs(self.mask, self.measured):
            raise DataError(f"{off} It would with {otherwise}.")
        below = brightness(self.mask, self.measured)
        rows, columns = self.mask.shape
        there = below[rows - 1, columns - 1]
        brightest = np.unravel_index(below.argmax(), below.shape)
        down, right = int(brightest[0]) - rows + 1, int(brightest[1]) - columns + 1
        margin = _BRIGHTER_HU[int(self.mask.sum()) >= _LARGE]
        if max(abs(down), abs(right)) > _BLURRED and below[brightest] > there + margin:
            raise DataError(
                f"{off} It covers {there:.0f} HU there, and would {below[brightest]:.0f} HU if it lay {down} rows "
                f"further down and {right} columns further right. Is it of another case, or of another grid?"
            )
        if self.body.any() and there < np.median(self.measured[self.body]) + DARK_HU:
            raise DataError(f"{off} It covers what is darker than the body, {there:.0f} HU. Is it of another case?")

    def _hold_trace(self) -> None:
        # Of a pixel of the mask half may be metal, and under a threshold a wire has no trace at all.
        least = 2 * self.spec.metals.trace_threshold / self.attenuation
        missed, foreign = missed_and_foreign(self.arrays["trace"], self.paths[0], self.paths[1], least)
        if foreign > _MOST_FOREIGN or missed > _MOST_MISSED:
            raise DataError(
                f"{self._name('trace')} is not that of {self._name('mask')}: {100 * missed:.0f} % of the metal project "
                f"beside it, and {100 * foreign:.0f} % of its rays meet none. It may be inverted, of another metal or "
                "have other axes than the sinogram; without the trace, rays that meet the mask are taken."
            )

    def _hold_truth(self) -> None:
        clean, sinogram = self.arrays.get("truth_sinogram"), self.scan.sinogram[0]
        free = ~(self.scan.metal_trace[0] | (self.paths[2] > 0))
        rays = "in rays that miss the metal"
        if clean is not None:
            self._refuse("truth_sinogram", apart(clean, sinogram, free), "sinogram", rays)
        for role in ("anatomy", "truth"):
            if role in self.arrays and clean is not None:
                self._hold_image(role, self.operators.reconstruct(clean), "truth_sinogram")
            elif role in self.arrays:
                self._hold_orientation(role, self.image, "sinogram")
                projected = self.operators.project(self.arrays[role])
                self._refuse(role, apart(projected, sinogram, free), "sinogram", rays)

    def _hold_image(self, role: str, reconstructed: torch.Tensor, of: str) -> None:
        """Hold an image to our reconstruction of its sinogram, where there is tissue."""
        if role not in self.arrays:
            return
        self._hold_orientation(role, reconstructed, of)
        if self.body.any():
            body = torch.from_numpy(self.body).to(self.image.device)
            level = float((self.arrays[role] - reconstructed)[body].median())
            where = f"in the body, where it lies {level:.0f} HU higher"
            self._refuse(role, apart(self.arrays[role] + 1000, reconstructed + 1000, body), of, where)

    def _hold_orientation(self, role: str, reconstructed: torch.Tensor, of: str) -> None:
        if misfit(image := self.arrays[role].cpu().numpy(), reconstructed.cpu().numpy()):
            raise DataError(
                f"{self._name(role)} does not show what {self._name(of)} was measured of. "
                f"{remedy(image, self.arrays[of], self.operators.reconstruct, self.spec.geometry.is_even_circle)}"
            )

    def _refuse(self, role: str, difference: float, of: str, where: str) -> None:
        if difference > _MOST_APART:
            raise DataError(
                f"{self._name(role)} and {self._name(of)} are not of one scan, unit and level: they differ by "
                f"{100 * difference:.0f} % {where}. Take the file of this case, in HU from −1000 for air or with its "
                "unit, scale and water_attenuation, and its axes as they are described."
            )

    def _name(self, role: str) -> str:
        return f"{self.files[role]} ({role})"
