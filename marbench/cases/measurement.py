"""From paths through materials to corrected line integrals: tube, detector and preparation of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from marbench.physics.beam_hardening import apply_polynomial, column_coefficients, water_coefficients
from marbench.physics.crosstalk import crosstalk
from marbench.physics.low_signal import smoothed
from marbench.physics.materials import Material
from marbench.physics.scatter import Scatter
from marbench.physics.transmission import count, polychromatic
from marbench.spec import Spec
from marbench.spec_physics import ScatterSection

__all__ = ["Measurement"]


class Measurement:
    """What a scanner makes of paths through materials.

    In this order: the bowtie and the object weaken the beam, the object's scatter is added, cells hand photons on to
    their neighbours, and are counted; then the scatter is subtracted, the air scan divided out, what is too little
    replaced, and the hardening by water corrected.
    """

    def __init__(self, spec: Spec, device: torch.device) -> None:
        self.spec, self.physics, self.device = spec, spec.physics, device
        self.bowtie = spec.bowtie

    @cached_property
    def photons(self) -> torch.Tensor:
        """What would reach every cell without an object, ``(bins,)`` or one number for all, float64."""
        behind = torch.tensor(1.0, dtype=torch.float64) if self.bowtie is None else self.bowtie.transmission()
        return (self.physics.photons * behind).to(self.device)

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
        physics = self.physics
        if self.bowtie is None:
            uniform = water_coefficients(physics.beam, physics.reference_kev, physics.water_order, physics.water_cm)
            return apply_polynomial(line_integrals, uniform)
        by_column = column_coefficients(self.bowtie, physics.water_order, physics.water_cm)
        return apply_polynomial(line_integrals, by_column.to(line_integrals))

    def _prepared(self, counts: torch.Tensor) -> torch.Tensor:
        physics = self.physics
        if physics.scatter_correction is not None:
            counts = counts - _model(physics.scatter_correction).of(counts, self.air)
        seen = smoothed(counts / self.air) if physics.low_signal == "smoothed" else counts.clamp(min=1) / self.air
        line_integrals = -torch.log(seen)
        return line_integrals.clamp(min=0) if physics.negative == "zero" else line_integrals


def _model(section: ScatterSection) -> Scatter:
    return Scatter(section.amount, section.power, section.kernel)
