"""From paths through materials to corrected line integrals: tube, detector and preparation of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from marbench.errors import SpecError
from marbench.physics.beam_hardening import (
    apply_polynomial,
    column_coefficients,
    turning_point,
    water_coefficients,
)
from marbench.physics.bowtie import Bowtie, thickness_at
from marbench.physics.crosstalk import crosstalk
from marbench.physics.low_signal import SIGNAL_FLOOR, smoothed
from marbench.physics.materials import Material
from marbench.physics.scatter import Scatter
from marbench.physics.transmission import count, polychromatic
from marbench.spec import Spec
from marbench.spec_physics import ScatterSection

__all__ = ["Measurement"]

# One photon of 5·10⁸: no scanner measures larger line integrals. More photons in a benchmark are a scan without noise.
_LARGEST_MEASURED = 20.0


class Measurement:
    """What a scanner makes of paths through materials.

    In this order: the bowtie and the object weaken the beam, the object's scatter is added, cells hand photons on to
    their neighbours, and are counted; then the scatter is subtracted, the air scan divided out, what is too little
    replaced, and the hardening by water corrected.

    Raises
    ------
    SpecError
        A bowtie lets nothing through, or the correction turns over below what is measured.
    """

    def __init__(self, spec: Spec, device: torch.device) -> None:
        self.spec, self.physics, self.device = spec, spec.physics, device
        self.bowtie: Bowtie | None = None
        if (chosen := self.physics.bowtie) is not None:
            thickness = thickness_at(chosen.thickness, spec.geometry.gamma)
            self.bowtie = Bowtie(
                spec.material(chosen.material), thickness, self.physics.beam, self.physics.reference_kev
            )
        self._hold_to_physics()

    @cached_property
    def photons(self) -> torch.Tensor:
        """What would reach every cell without an object, ``(bins,)`` or one number for all, float64."""
        if self.bowtie is None:
            return torch.tensor(self.physics.photons, dtype=torch.float64, device=self.device)
        return (self.physics.photons * self.bowtie.transmission()).to(self.device)

    @cached_property
    def air(self) -> torch.Tensor:
        """The air scan, without noise, as `photons`."""
        return self.photons if self.bowtie is None else crosstalk(self.photons, self.physics.crosstalk)

    def line_integrals(
        self, paths: torch.Tensor, materials: Sequence[str | Material], rays: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the polychromatic line integrals of a scan without noise, against those of air.

        Parameters
        ----------
        paths : Tensor ``(materials, views, bins)``, or ``(materials, rays)``
            Line integrals of every material at the reference energy.
        materials : sequence of str or Material
        rays : boolean Tensor ``(views, bins)``, optional
            Of which rays the paths are, where not of all.
        """
        if self.bowtie is None:
            return polychromatic(paths, materials, self.physics.beam, self.physics.reference_kev)
        columns = torch.arange(self.spec.geometry.bins, device=paths.device)
        if rays is not None:
            columns = columns.expand(rays.shape)[rays]
        return self.bowtie.line_integrals(paths, materials, columns)

    def measured(self, line_integrals: torch.Tensor, rng: np.random.Generator | None) -> torch.Tensor:
        """Count photons, without noise where ``rng`` is None or the spec says so, and prepare what was counted."""
        physics = self.physics
        # In float64: among 2·10⁷ photons float32 no longer tells one from the next.
        signal = self.photons * torch.exp(-line_integrals.double())
        if physics.patient_scatter is not None:
            signal = signal + _model(physics.patient_scatter).of(signal, self.photons)
        signal = crosstalk(signal, physics.crosstalk)
        counts = count(signal, physics.scatter, rng if physics.noise else None, physics.electronic_noise)
        return self.corrected(self._prepared(counts).to(line_integrals.dtype))

    def corrected(self, line_integrals: torch.Tensor) -> torch.Tensor:
        """Apply the water correction, which behind a bowtie is another one in every column."""
        correction = self._correction
        return apply_polynomial(
            line_integrals, correction.to(line_integrals) if isinstance(correction, torch.Tensor) else correction
        )

    @cached_property
    def _correction(self) -> tuple[float, ...] | torch.Tensor:
        physics, fit = self.physics, (self.physics.water_order, self.physics.water_cm)
        if self.bowtie is None:
            return water_coefficients(physics.beam, physics.reference_kev, *fit)
        return column_coefficients(self.bowtie, *fit)

    def _hold_to_physics(self) -> None:
        # Here and not where the spec is read, which pages do without torch.
        physics, photons, name = self.physics, self.photons.cpu().numpy(), self.spec.name
        if photons.min() < 1:
            raise SpecError(
                f"{name}: behind the bowtie {photons.min():.2g} of {physics.photons:g} photons are left, less "
                "than one, at its thickest place: make it thinner (physics.bowtie.thickness is in cm), or give more "
                "physics.photons"
            )
        # What is replaced by the preparation has the largest line integral, if scatter does not leave more.
        replaced = photons * SIGNAL_FLOOR if physics.low_signal == "smoothed" else 1.0
        highest = np.log(photons / np.maximum(replaced, physics.fewest_counts)).clip(0, _LARGEST_MEASURED)
        if (turn := turning_point(np.asarray(self._correction), highest)) is not None:
            raise SpecError(
                f"{name}: the correction of hardening by water (physics.water_order = {physics.water_order}, fitted to "
                f"physics.water_cm = {physics.water_cm:g}) rises only up to a line integral of {turn:.3g}, but up to "
                f"{highest.max():.3g} are measured: of more metal it would make less. Use a larger physics.water_cm, "
                "another physics.water_order (2 rises furthest), a higher physics.reference_kev, or fewer "
                "physics.photons"
            )

    def _prepared(self, counts: torch.Tensor) -> torch.Tensor:
        physics = self.physics
        if physics.scatter_correction is not None:
            counts = counts - _model(physics.scatter_correction).of(counts, self.air)
        seen = smoothed(counts / self.air) if physics.low_signal == "smoothed" else counts.clamp(min=1) / self.air
        line_integrals = -torch.log(seen)
        return line_integrals.clamp(min=0) if physics.negative == "zero" else line_integrals


def _model(section: ScatterSection) -> Scatter:
    return Scatter(section.amount, section.power, section.kernel)
