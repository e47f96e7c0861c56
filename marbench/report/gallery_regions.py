"""Where measures look, over the pictures of the gallery: the outlines of the regions that a case was scored in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from marbench.report.formats import handing_script

__all__ = ["LOOKS", "outline", "regions_script"]

LOOKS = {
    "body": ("body", "#ffffff"),
    "clear": ("clear of metal", "#b8b8b8"),
    "metal_region": ("near metal", "#ff5050"),
    "noise": ("noise", "#40e040"),
    "bone_edge": ("edges of bone", "#40d8ff"),
    "soft_edge": ("edges of soft tissue", "#00b890"),
    "streak": ("streaks", "#ff60ff"),
    "artifact_free": ("free of artifacts", "#a080ff"),
    "target": ("proton target", "#ffff50"),
}
"""Region → what readers call it, and the colour of its outline."""


def outline(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the border of a mask as lines between pixels, ``(lines, 4)``: x and y of both ends, in pixels from the
    upper left corner. A pixel (row, column) reaches from (column, row) to (column + 1, row + 1)."""
    level = _runs(mask)
    upright = _runs(mask.T)[:, [1, 0, 3, 2]]
    return np.concatenate([level, upright])


def regions_script(case_id: str, regions: Mapping[str, NDArray[np.bool_]]) -> str:
    """Return a script that hands the outlines of a case's regions to the gallery."""
    lines = {name: outline(mask).ravel().tolist() for name, mask in regions.items()}
    return handing_script("marbenchRegions", case_id, lines)


def _runs(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the borders between rows; neighbours along a row are one line."""
    padded = np.pad(mask, 1)
    border = padded[1:, 1:-1] != padded[:-1, 1:-1]
    change = np.diff(np.pad(border.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    # Both in the order of rows and columns, so that every begin has its end.
    begins, ends = np.argwhere(change == 1), np.argwhere(change == -1)
    return np.column_stack([begins[:, 1], begins[:, 0], ends[:, 1], ends[:, 0]])
