"""Metric conventions. A PSNR or SSIM without its convention is no number.

The same pixels score up to 24 dB apart under the conventions of published code, so every convention has an id, and the
id travels with every value: ``psnr[dudonet2019]``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from marbench.errors import MetricError, nearest

__all__ = ["CONVENTIONS", "PSNR_CEILING", "Convention", "known_conventions"]

PSNR_CEILING = 100.0
"""The PSNR of equal images, dB."""


@dataclass(frozen=True)
class Convention:
    """How PSNR and SSIM are taken.

    Attributes
    ----------
    id : str
    window : (low, high) or None
        HU range to which both images are clipped, whose width is the peak of PSNR and the data range of SSIM.
        None: the display window of each slice.
    definition : str
        One paragraph for readers of a table.
    source : str
        Where it comes from, and what the source leaves open.
    """

    id: str
    window: tuple[float, float] | None
    definition: str
    source: str


_PIXELS = (
    "Pixels that hold metal are left out: of the mean squared error altogether, and of SSIM after both images took "
    "the truth's values there. SSIM: Gaussian window, σ = 1.5 px, 11 × 11, K = (0.01, 0.03), no downsampling. "
    f"PSNR is at most {PSNR_CEILING:.0f} dB."
)

CONVENTIONS: dict[str, Convention] = {
    convention.id: convention
    for convention in (
        Convention(
            "dudonet2019",
            None,
            "Both images are clipped to the slice's own display window, whose width is the peak. " + _PIXELS,
            "Lin et al., CVPR 2019, state the dynamic range; the treatment of metal and the SSIM window are not stated "
            "there and are ours.",
        ),
        Convention(
            "dudonetpp2020",
            (-175.0, 275.0),
            "Both images are clipped to [−175, 275] HU; the peak is 450 HU. " + _PIXELS,
            "Lyu et al., MICCAI 2020 (DuDoNet++), state the window; the treatment of metal is ours.",
        ),
    )
}


def known_conventions(ids: str | Iterable[str]) -> tuple[str, ...]:
    """Return the ids of conventions, each once; one id may be given as plain text.

    >>> known_conventions("dudonet2019")
    ('dudonet2019',)

    Raises
    ------
    MetricError
        There is no such convention; the message names the nearest.
    """
    found = tuple(dict.fromkeys([ids] if isinstance(ids, str) else ids))
    for name in found:
        if name not in CONVENTIONS:
            raise MetricError(f"There is no metric convention {name!r}; {nearest(str(name), CONVENTIONS)}")
    return found
