"""The Triton backend: the operators as GPU kernels that need no compiler beyond what torch's CUDA wheels bring.

Importing this package imports triton; `marbench.ct.backends` does so only where it is used.

========================  ================================================================================
`rebinning`               fan → parallel: a shift by columns, both measurements of a line averaged
`product`                 resampling in t and Ram-Lak: one matrix, one product
`backprojection`          parallel sinogram → image
`joseph`                  image → sinogram, any beam
========================  ================================================================================

Every kernel is a gather in both directions, sums in a fixed order, takes several images of a batch at once, and
neither synchronises with the host nor allocates beyond torch's caching allocator, so that all can be captured in a
CUDA graph once they have run (kernels are compiled, and tables copied to the device, at the first call).
"""

from marbench.ct.triton.backprojection import BackProjection
from marbench.ct.triton.inversion import inversion
from marbench.ct.triton.joseph import JosephProjection
from marbench.ct.triton.rebinning import Rebinning

__all__ = ["BackProjection", "JosephProjection", "Rebinning", "inversion"]
