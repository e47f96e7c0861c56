"""Half precision for what a kernel reads many times: half the bytes to move and to hold, every sum still in float32."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from marbench.ct.linear import LinearMap, Storage

__all__ = ["HalfStorage", "stored"]

# An item's largest value becomes 2¹⁴ … 2¹⁵ of at most 65504; what is 2⁻²⁸ times smaller keeps all its 11 bits.
_LARGEST = 15
# Below, 2 to the power is not a float32.
_SMALLEST = -100


class HalfStorage(LinearMap):
    """A map of kernels that reads its input, in either direction, rounded to float16 or bfloat16.

    float16 has a narrow range, which gradients leave, so a power of two brings every item into it first and is taken
    back from the result. Neither it nor the rounding depends on other items of the batch.

    The rounding is at most 2⁻¹¹ of a value in float16 and 2⁻⁸ in bfloat16. The two directions round different arrays,
    so they are transposes of each other only up to that.
    """

    def __init__(self, base: LinearMap, storage: torch.dtype) -> None:
        self.base, self._storage = base, storage
        self.domain_shape, self.range_shape = base.domain_shape, base.range_shape

    def forward(self, x: Tensor) -> Tensor:
        """Round, and apply the base map."""
        return self._of_rounded(self.base.forward, x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Round, and apply the adjoint of the base map."""
        return self._of_rounded(self.base.adjoint, y)

    @property
    def nbytes(self) -> int:
        """Bytes held by the base map."""
        return self.base.nbytes

    def _of_rounded(self, apply: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        if self._storage == torch.bfloat16:  # has the range of float32
            return apply(x.to(self._storage))
        exponent = torch.frexp(x.abs().amax((1, 2), keepdim=True)).exponent.clamp(min=_SMALLEST) - _LARGEST
        return torch.ldexp(apply(torch.ldexp(x, -exponent).to(self._storage)), exponent)


def stored(base: LinearMap, dtype: torch.dtype, storage: Storage) -> LinearMap:
    """Return a map of ``dtype`` with its storage; what is computed in float64 is never rounded."""
    if storage == "float32" or dtype == torch.float64:
        return base
    return HalfStorage(base, torch.float16 if storage == "float16" else torch.bfloat16)
