"""Body regions as real data name them, mapped to a few known ones: what a header says freely may be a name."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from marbench.anatomy.body import body_mask
from marbench.anatomy.resample import resample
from marbench.geometry import ImageGrid

__all__ = ["REGIONS", "region_in_picture", "region_of", "region_of_slice"]

# Beginnings of words, in the terms of DICOM (PS3.16, CID 4031, and its annex L) and in common use.
_WORDS = {
    "dental": ("dental", "jaw", "maxilla", "mandib", "teeth", "tooth", "tmj"),
    "head": ("head", "skull", "brain", "face", "facial", "orbit", "sinus", "nose", "ear", "iac", "calvari"),
    "neck": ("neck", "larynx", "pharynx", "thyroid", "carotid"),
    "spine": ("spine", "cspine", "tspine", "lspine", "ctspine", "tlspine", "lsspine", "vertebra", "sacrum", "lumbar"),
    "shoulder": ("shoulder", "clavicle", "scapula", "acjoint"),
    "thorax": ("chest", "thorax", "thoracic", "lung", "heart", "breast", "rib", "sternum", "mediast", "cardiac"),
    "abdomen": ("abd", "liver", "kidney", "pancreas", "spleen", "stomach", "colon", "bowel"),
    "hip": ("hip",),
    "pelvis": ("pelvi", "bladder", "prostate", "uterus"),
    "extremity": (
        "extremity", "arm", "leg", "knee", "ankle", "foot", "toe", "hand", "wrist", "elbow", "finger", "femur", "thigh",
        "humerus", "forearm", "tibia", "calf", "radius", "ulna", "patella", "heel",
    ),
}  # fmt: skip

REGIONS = (*_WORDS, "unknown")
"""Every region that `region_of` may return."""


def region_of(text: str) -> str:
    """Return the region that a header names, ``"unknown"`` where it names none of `REGIONS`.

    >>> [region_of(text) for text in ("ABDOMEN", "CHESTABDPELVIS", "Head/Neck", "T-SPINE", "DOE^JANE", "")]
    ['abdomen', 'thorax', 'head', 'spine', 'unknown', 'unknown']
    """
    for word in re.findall("[a-z]+", text.lower()):
        for region, beginnings in _WORDS.items():
            if word.startswith(beginnings):
                return region
    return "unknown"


_CM = 0.3
"""Pixels on which regions are told apart."""


_ONE_EXAMINATION = ({"head", "neck", "dental"}, {"thorax", "abdomen", "pelvis", "hip"})


def region_of_slice(header: str, image: NDArray[np.floating[Any]], spacing: tuple[float, float]) -> str:
    """Return the region of one slice, where ``header`` is that of the examination, one of `REGIONS`.

    An examination of the abdomen shows the lung above and the hip below, one of the head begins at the neck. So within
    such a stretch of the body the picture decides, and all of it where the header does not tell.
    """
    seen = region_in_picture(image, spacing)
    together = any({header, seen} <= stretch for stretch in _ONE_EXAMINATION)
    return seen if header == "unknown" or together else header


def region_in_picture(image: NDArray[np.floating[Any]], spacing: tuple[float, float]) -> str:
    """Return the region that a slice seems to show, for slices whose header does not tell.

    A cavity of the skull makes a head, teeth a dental slice, lungs a thorax (shoulders, where bone is as wide as the
    body), thick bones at both sides hips, thinner ones deep below the skin a pelvis; gas tells a neck from a limb, and
    what is left is an abdomen. A rule of thumb, the same for the same pixels.

    Parameters
    ----------
    image : array ``(rows, columns)``
        HU; anterior is up.
    spacing : (row, column)
        Pixel size in cm.

    Returns
    -------
    str
        One of `REGIONS`; ``"unknown"`` where there is no body.
    """
    longer = max(size * count for size, count in zip(spacing, image.shape, strict=True))
    side = round(longer / _CM)
    hu = resample(image, spacing, ImageGrid(side, side, _CM), "physical")
    body = body_mask(hu, (_CM, _CM))
    if not body.any():
        return "unknown"
    columns = np.flatnonzero(body.any(axis=0))
    width, whole = len(columns) * _CM, np.count_nonzero(body)
    gas, bone = body & (hu < -500), body & (hu > 200)
    skull = ndimage.binary_fill_holes(ndimage.binary_closing(bone, iterations=2))
    if np.count_nonzero(skull & ~bone) > 0.3 * whole and width < 26:
        return "head"
    if width < 24:
        if np.count_nonzero(body & (hu > 1200)) * _CM**2 > 2.0 and np.count_nonzero(skull) < 0.5 * whole:
            return "dental"
        if np.count_nonzero(bone) > 0.16 * whole:
            return "head"
        return "neck" if np.count_nonzero(gas) * _CM**2 > 0.5 else "extremity"
    x = np.abs(np.arange(side) - columns.mean()) * _CM / (width / 2)
    # Spongy bone, its cortex closed; and what of it is thicker than 2.4 cm, at the weaker of the two sides.
    solid = ndimage.binary_fill_holes(ndimage.binary_closing(bone, iterations=1)) & body
    balls = _at_both_sides(_opened(solid, 1.2) & (x > 0.35), columns.mean())
    if np.count_nonzero(gas) > 0.1 * whole or (balls > 4 and x[np.flatnonzero(solid.any(axis=0))].max() > 0.85):
        return "shoulder" if _at_both_sides(_opened(solid, 0.9) & (x > 0.62), columns.mean()) > 2.5 else "thorax"
    if balls > 4:
        return "hip"
    deep = ndimage.distance_transform_edt(body) * _CM > 1.5
    # The cortex of the ilium is denser than a kidney with contrast medium.
    wings = _at_both_sides(_opened(bone & (hu > 300), 0.3) & deep & (x > 0.22), columns.mean())
    return "pelvis" if wings > 3.5 else "abdomen"


def _opened(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Return what of a mask is thicker than twice a radius (cm)."""
    core = ndimage.distance_transform_edt(mask) * _CM > radius
    opened: NDArray[np.bool_] = ndimage.distance_transform_edt(~core) * _CM <= radius
    return opened & bool(core.any())


def _at_both_sides(mask: NDArray[np.bool_], middle: float) -> float:
    """Return the area (cm²) at the left or at the right of a column, whichever is smaller."""
    left = np.arange(mask.shape[1]) < middle
    return float(min(np.count_nonzero(mask & left), np.count_nonzero(mask & ~left)) * _CM**2)
