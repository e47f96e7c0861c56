"""Body regions as real data name them, mapped to a few known ones: what a header says freely may be a name."""

from __future__ import annotations

import re

__all__ = ["REGIONS", "region_of"]

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
