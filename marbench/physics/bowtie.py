"""The bowtie: a filter between tube and patient, thicker towards the ends of the fan.

Behind it every column of the detector has its own spectrum and its own count of photons. What it weakens, an air scan
divides out again; what it hardens, it does not, so the water correction is one per column (`beam_hardening`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from marbench.physics.materials import Material, relative_attenuation
from marbench.physics.spectrum import Spectrum
from marbench.physics.transmission import polychromatic

__all__ = ["Bowtie", "thickness_at"]


def thickness_at(table: Sequence[tuple[float, float]], gamma: NDArray[np.floating]) -> tuple[float, ...]:
    """Return the thickness in cm at fan angles in radians, of pairs of degrees from the central ray and cm.

    Straight between the pairs, the same on both sides; beyond the last as thick as there.
    """
    # The thickness is along the ray: no 1/cos of the angle comes in.
    degrees, centimetres = np.array(table, dtype=np.float64).T
    thickness: list[float] = np.interp(np.abs(np.degrees(gamma)), degrees, centimetres).tolist()
    return tuple(thickness)


@dataclass(frozen=True)
class Bowtie:
    """What the beam of a spectrum passes in every column of the detector.

    Attributes
    ----------
    material : Material
    thickness : tuple of float
        Path through it per column, cm.
    spectrum : Spectrum
        Of the beam in front of it, as the detector weights it.
    reference_kev : float
        Where line integrals of materials are given, see `marbench.physics.transmission`.
    """

    material: Material
    thickness: tuple[float, ...]
    spectrum: Spectrum
    reference_kev: float

    def transmission(self) -> torch.Tensor:
        """Return ``T = Σ_E η(E) exp(−µ(E) t)`` per column, ``(bins,)`` float64: what is left of an air scan."""
        # Of the signal, not of the photons: a detector that adds up energy sees what is left weighted by it.
        return torch.exp(-self._air(self._paths(torch.float64, torch.device("cpu"))))

    def line_integrals(
        self, paths: torch.Tensor, materials: Sequence[str | Material], columns: torch.Tensor
    ) -> torch.Tensor:
        """Return the polychromatic line integrals of rays against those of air.

        ``p = −ln Σ η e^{−µt} exp(−Σ_m p_m µ_m(E)/µ_m(E_ref)) + ln Σ η e^{−µt}``

        Parameters
        ----------
        paths : Tensor ``(materials, ...)``
            As `marbench.physics.transmission.polychromatic` takes them.
        columns : integer Tensor, broadcast to ``(...)``
            In which column of the detector every ray ends.
        """
        met, out = paths.any(dim=0), torch.zeros_like(paths[0])
        of_column = self._paths(paths.dtype, paths.device)
        column = columns.expand(out.shape)[met]
        # The bowtie is one more material in the ray. A ray that meets nothing else is air: exactly 0.
        through = torch.cat([paths[:, met], of_column[column][None]])
        behind = polychromatic(through, (*materials, self.material), self.spectrum, self.reference_kev)
        out[met] = behind - self._air(of_column)[column]
        return out

    def _paths(self, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """Return the line integrals through the bowtie at the reference energy, ``(bins,)``."""
        _, attenuation = relative_attenuation(self.material, self.spectrum.energies, self.reference_kev)
        return torch.tensor(self.thickness, dtype=torch.float64, device=device).mul(attenuation).to(dtype)

    def _air(self, paths: torch.Tensor) -> torch.Tensor:
        return polychromatic(paths[None], [self.material], self.spectrum, self.reference_kev)
