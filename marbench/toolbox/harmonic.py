"""Completion of a sinogram by Poisson's equation: smooth along the detector and from view to view."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from marbench.errors import DataError
from marbench.tensors import as_mask, check_alike, check_batch, check_finite, check_real

__all__ = ["HarmonicCompletion", "harmonic_interpolation"]

_Floats = NDArray[np.float64]


def harmonic_interpolation(
    sinogram: torch.Tensor, trace: torch.Tensor, prior_sinogram: torch.Tensor, *, is_circle: bool
) -> torch.Tensor:
    """Fill the trace so that its gradient is, in the least-squares sense, that of a prior's projection.

    u minimises ½‖∇(u − q)‖² under u = p outside the trace, p being the sinogram and q the prior's. So the residual
    u − q is harmonic in the trace: every ray is the mean of its two neighbours in the view and of the same bin in the
    views before and after. The sparse linear system is solved exactly, in float64, scan by scan.

    Parameters
    ----------
    sinogram : Tensor ``(batch, views, bins)``
    trace : bool Tensor, same shape
        Rays to replace. A scan of which nothing is measured stays as it is.
    prior_sinogram : Tensor, same shape
        q. Zero leaves Laplace's equation for the sinogram itself.
    is_circle : bool
        The last view is followed by the first, see `marbench.geometry.FanBeam.is_circle`.

    Raises
    ------
    DataError
        An argument is not as described, or is not finite: one value would spoil the scan. Or one asks for a gradient:
        there is none.

    References
    ----------
    A. Mehranian, M. R. Ay, A. Rahmim, H. Zaidi, "3D Prior Image Constrained Projection Completion for X-ray CT Metal
    Artifact Reduction", IEEE Trans. Nucl. Sci. 60 (2013) 3318–3332, which iterates towards the same solution.
    """
    return HarmonicCompletion(trace, is_circle=is_circle)(sinogram, prior_sinogram)


class HarmonicCompletion:
    """`harmonic_interpolation` for one trace and many priors: its linear systems are factorised once.

    Parameters
    ----------
    trace : bool Tensor ``(batch, views, bins)``
    is_circle : bool
    screening : float
        κ² of ½‖∇(u − q)‖² + ½κ²‖u − q‖²: the residual fades within some 1/κ rays of what is measured. 0 lets it reach
        as far as the trace does.
    """

    def __init__(self, trace: torch.Tensor, *, is_circle: bool, screening: float = 0.0) -> None:
        self._trace = as_mask(trace, "trace")
        check_batch(self._trace, "trace", "batch, views, bins")
        laplacian = _laplacian(*trace.shape[-2:], is_circle)
        if screening:
            laplacian = sparse.csr_array(laplacian + screening * sparse.eye(laplacian.shape[0]))
        self._systems = [_System(laplacian, unknown.ravel()) for unknown in self._trace.cpu().numpy()]

    def __call__(self, sinogram: torch.Tensor, prior_sinogram: torch.Tensor) -> torch.Tensor:
        """Return the completed sinogram; DataError as `harmonic_interpolation`."""
        check_batch(check_real(sinogram, "sinogram"), "sinogram", "batch, views, bins")
        check_alike(check_real(prior_sinogram, "prior_sinogram"), sinogram, "prior_sinogram and sinogram")
        check_alike(self._trace, sinogram, "trace and sinogram")
        residual = sinogram - prior_sinogram
        check_finite(residual, "sinogram − prior_sinogram")
        if residual.requires_grad:
            raise DataError("harmonic completion has no gradient: give it .detach() of sinogram and prior_sinogram.")
        pairs = zip(self._systems, residual.double().cpu().numpy(), strict=True)
        filled = [system.completed(values.ravel()) for system, values in pairs]
        completed = torch.from_numpy(np.stack(filled)).view(sinogram.shape) if filled else residual
        return torch.where(self._trace, completed.to(sinogram) + prior_sinogram, sinogram)


@lru_cache(maxsize=4)
def _laplacian(views: int, bins: int, is_circle: bool) -> sparse.csr_array:
    """Return Σ (difference to a neighbour) as a matrix over the rays; beyond an edge there is no neighbour."""
    along_views = _path(views)
    if is_circle and views > 2:
        ends = np.array([0, views - 1])
        along_views = along_views + sparse.csr_array(([1, 1, -1, -1], ([*ends, *ends], [*ends, *ends[::-1]])))
    return sparse.csr_array(sparse.kron(along_views, sparse.eye(bins)) + sparse.kron(sparse.eye(views), _path(bins)))


def _path(nodes: int) -> sparse.csr_array:
    step = sparse.diags([-1.0, 1.0], [0, 1], shape=(nodes - 1, nodes))
    return sparse.csr_array(step.T @ step)


class _System:
    """What follows for the unknown values of one scan from the others, as their border."""

    def __init__(self, laplacian: sparse.csr_array, unknown: NDArray[np.bool_]) -> None:
        self._unknown = unknown
        self._solvable = bool(unknown.any() and not unknown.all())
        if self._solvable:
            rows = laplacian[unknown]
            self._border = rows[:, ~unknown]
            # Symmetric and positive definite, as every part of the trace touches measured rays: no pivoting is needed.
            self._factors = splu(
                rows[:, unknown].tocsc(),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )

    def completed(self, values: _Floats) -> _Floats:
        """Return the values, those unknown replaced by the solution."""
        if not self._solvable:
            return values
        completed = values.copy()
        completed[self._unknown] = self._factors.solve(-(self._border @ values[~self._unknown]))
        return completed
