"""What the detector measures: the polychromatic law of attenuation and photon noise.

Sinograms in, sinograms out. Path lengths of a material are given as its monochromatic line integral at the reference
energy, ``p_m = ∫ µ_m(E_ref) dl`` (no unit), so that a projection of an attenuation image can be used as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from marbench.physics.materials import Material, relative_attenuation
from marbench.physics.spectrum import Spectrum, load_spectrum

__all__ = ["count", "polychromatic"]

# exp(-80) of any number of photons is none at all, and float32 still represents it.
_OPAQUE = 80.0
# Rays at a time. On the CPU the (rays, energies) block of 1.6 MB stays in the second-level cache; a GPU wants few
# launches that fill it: 100 MB.
_BLOCK = 4096
_BLOCK_CUDA = 1 << 18


def polychromatic(
    paths: torch.Tensor, materials: Sequence[str | Material], spectrum: str | Spectrum, reference_kev: float = 70.0
) -> torch.Tensor:
    """Return the polychromatic line integral of several materials along each ray.

    ``p = −ln Σ_E η(E) exp(−Σ_m p_m µ_m(E)/µ_m(E_ref))``, η normalised to 1 (the law of the DuDoNet simulator): what
    the detector weights each energy with.

    Parameters
    ----------
    paths : Tensor ``(materials, ...)``
        Line integrals ``p_m ≥ 0`` at the reference energy.
    materials : sequence of str or Material
        Names or values, in the order of the first axis.
    spectrum : str or Spectrum
        Its name or its value, see `marbench.physics.spectrum.load_spectrum` and ``weighted_spectrum``.
    reference_kev : float
        E_ref.

    Returns
    -------
    Tensor ``(...)``
        Never above 80, where no photon is left.
    """
    source = load_spectrum(spectrum) if isinstance(spectrum, str) else spectrum
    tables = _spectral_tables(tuple(materials), source, reference_kev, paths.dtype, paths.device)
    flat = paths.reshape(len(materials), -1)
    if paths.is_cuda:  # choosing rays would make the host wait for the device
        return _law(flat, *tables).reshape(paths.shape[1:])
    # Rays that meet nothing are all alike, and are half of the rays of many a scan.
    absorbed = flat.any(dim=0)
    out = _law(torch.zeros_like(flat[:, :1]), *tables).repeat(flat.shape[1])
    out[absorbed] = _law(flat[:, absorbed], *tables)
    return out.reshape(paths.shape[1:])


def _law(paths: torch.Tensor, log_photons: torch.Tensor, ratios: torch.Tensor) -> torch.Tensor:
    """Return the polychromatic line integrals ``(rays,)`` of paths ``(materials, rays)``."""
    out = torch.empty_like(paths[0])
    rays_at_a_time = _BLOCK_CUDA if paths.is_cuda else _BLOCK
    for start in range(0, len(out), rays_at_a_time):
        block = slice(start, start + rays_at_a_time)
        exponent = log_photons.expand(len(out[block]), -1).clone()
        # Accumulated material by material, not by a matrix product: every ray is computed in the same order
        # whatever the batch and the number of threads, so cases are reproducible to the bit.
        for path, ratio in zip(paths[:, block], ratios, strict=True):
            exponent.addcmul_(path[:, None], ratio, value=-1)
        out[block] = -exponent.clamp_(min=-_OPAQUE).exp_().sum(dim=1).log()
    return out


def count(
    expected: torch.Tensor, scatter: float, rng: np.random.Generator | None, electronic: float = 0.0
) -> torch.Tensor:
    """Count the photons behind each ray: ``Poisson(round(N0 e^−p) + s) + Normal(0, σ)``.

    Parameters
    ----------
    expected : Tensor, float64
        N0 e^−p, of N0 photons per detector cell and view without an object. (For a detector that integrates energy:
        quanta of one weight that give its signal. The spread of real weights raises the variance by ⟨E²⟩/⟨E⟩², a
        tenth or so.)
    scatter : float
        s, constant background in photons.
    rng : numpy Generator or None
        Source of the Poisson numbers, which are the same whatever the device. None counts the expected number (no
        noise).
    electronic : float
        σ of the electronics, in photons.
    """
    expected = torch.round(expected) + scatter
    if rng is None:
        return expected
    counts = rng.poisson(expected.cpu().numpy()).astype(np.float64)
    if electronic:  # or else nothing is drawn: what follows keeps its random numbers
        counts += rng.normal(0.0, electronic, counts.shape)
    return torch.from_numpy(counts).to(expected.device)


@lru_cache(maxsize=32)
def _spectral_tables(
    materials: tuple[str | Material, ...],
    source: Spectrum,
    reference_kev: float,
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``ln η`` of shape ``(energies,)`` and ``µ(E)/µ(E_ref)`` of shape ``(materials, energies)``."""
    ratios = np.stack([relative_attenuation(material, source.energies, reference_kev)[0] for material in materials])
    # ln η joins the exponent, so that a ray needs one exp per energy and no product.
    log_photons = torch.from_numpy(np.log(source.photons))
    return log_photons.to(device, dtype), torch.from_numpy(ratios).to(device, dtype)
