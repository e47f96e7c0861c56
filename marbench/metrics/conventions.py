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
        None: the display window of each slice. Published code that compares other grey values has a way of its own,
        see `marbench.metrics.published`.
    body : bool
        Whether what lies outside of the body is left out.
    definition : str
        One paragraph for readers of a table.
    source : str
        Where it comes from, and what the source leaves open.
    """

    id: str
    window: tuple[float, float] | None
    definition: str
    source: str
    body: bool = False


_PIXELS = (
    "Pixels that hold metal are left out: of the mean squared error altogether, and of SSIM after both images took "
    "the truth's values there. SSIM: Gaussian window, σ = 1.5 px, 11 × 11, K = (0.01, 0.03), no downsampling. "
    f"PSNR is at most {PSNR_CEILING:.0f} dB."
)

_WANG = (
    "SSIM: the program of Wang et al. (2004), which averages pictures of 384 pixels or more over blocks of 2 × 2 or "
    "larger and leaves borders away; Gaussian window, σ = 1.5 px, 11 × 11, K = (0.01, 0.03)."
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
        Convention(
            "body",
            (-1000.0, 1000.0),
            "Both images are clipped to [−1000, 1000] HU; the peak is 2000 HU. Pixels outside of the body are left out "
            "like those of metal: the body is the largest part of the truth above −500 HU, closed by one pixel and "
            "filled. " + _PIXELS,
            "Ours: air around a patient flatters every method.",
            body=True,
        ),
        Convention(
            "adn2019",
            None,
            "Attenuation is clipped to [0, 0.5]/cm, with 0.192/cm for water, and divided by 0.5. Pixels above 0.5/cm "
            "in the uncorrected image are 0 in both images, and count. SSIM: uniform window of 7 × 7, sample "
            "covariance, borders left away.",
            "The code of Liao et al., IEEE TMI 39 (2020) 634 (ADN). Pixels that hold metal without being that bright "
            "are 0, too: this is ours.",
        ),
        Convention(
            "syndeeplesion",
            None,
            "Attenuation is clipped to [0, 0.5]/cm, with 0.192/cm for water, divided by 0.5 and rounded to 8 bits. "
            "Pixels that hold metal are 0 in both images, and count. " + _WANG,
            "The evaluation script of OSCNet (Wang et al., MICCAI 2022), which papers on the SynDeepLesion data share.",
        ),
        Convention(
            "syndeeplesion-published",
            None,
            "As syndeeplesion, but before they are rounded both images are stretched, each from its own darkest to its "
            "own brightest pixel: an image that is brighter somewhere is darker everywhere else. " + _WANG,
            "What the published tables on SynDeepLesion went through, as the library that wrote the pictures stretches "
            "each of them. Not meant by anybody; for comparison with those tables alone.",
        ),
        Convention(
            "cnnmar2018",
            None,
            "Attenuation over the largest attenuation of the truth; pixels that hold metal are 0 in both images. It "
            "has no PSNR. " + _WANG,
            "The evaluation of Zhang & Yu, IEEE TMI 37 (2018) 1370 (CNNMAR); its RMSE is that of this table.",
        ),
        Convention(
            "aapm2024-side",
            None,
            "Both images are clipped to [−2000, 6000] HU; the peak is 8000 HU. Pixels that hold metal are 0 on that "
            "scale in both images, and count. SSIM: Gaussian window, σ = 1.5 px, 11 × 11, borders left away.",
            "What papers on the AAPM CT-MAR Grand Challenge (2024) report beside its own score. So wide a "
            "range flatters.",
        ),
        Convention(
            "clinical",
            None,
            "No PSNR: what clinicians ask, in regions found on every slice. Errors of CT number, noise and edges, "
            "streaks, SSIM in −1000 … 1000 HU, bone and metal (put back as in the uncorrected image) by area and Dice, "
            "range of proton beams through metal. A slice without a place for a region has no number.",
            "Ours, after the AAPM CT-MAR Grand Challenge (2024); smoothing and sharpening beyond the truth are errors.",
        ),
        Convention(
            "aapm2024",
            None,
            "No PSNR: the eight measures of the AAPM CT-MAR Grand Challenge, in regions found on every slice. "
            "Fractions are fractions, SSIM has a data range of 5000 HU, metal counts as the image shows it.",
            "The scorer of the challenge (2024) as it is executed, its known defects included. Its regions were drawn "
            "by hand for each case: numbers compare with each other, and not with its leaderboard.",
        ),
        Convention(
            "hallucination",
            None,
            "No PSNR: what an image invents. How far it is from what was measured along the rays that miss metal, "
            "‖P f − s‖ / ‖s‖; and by how much it changes places far from metal where the uncorrected image is right. "
            "The truth has an inconsistency, too, and no correction has no change: neither number stands alone.",
            "Ours; the change of clean regions after FIND-Net (2025). Rays through pixels with any metal are left out "
            "besides the metal trace.",
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
