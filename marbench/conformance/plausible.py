"""Whether answers can be images of the scans at all: in HU, and where they should be."""

from __future__ import annotations

from collections.abc import Sequence

from marbench.conformance.position import check_position, fit_position
from marbench.conformance.specimens import Pair
from marbench.conformance.units import check_units
from marbench.conformance.verdict import Finding, skipped

__all__ = ["check_plausible"]

# A mean distance to the truth, HU, that no image has whose units are wrong.
_CERTAIN = 50.0


def check_plausible(pairs: Sequence[Pair]) -> tuple[Finding, Finding]:
    """Return what was found of the units and of the position.

    Each is judged by values at places, and so confounds the other: of two that fail, the one that explains the image.
    """
    units, fit = check_units(pairs), fit_position(pairs)
    position = check_position(fit)
    if units.outcome != "failed":
        return units, position
    if fit.is_moved and fit.moved < _CERTAIN:
        return skipped(units.check, "to be seen once the image lies where it should"), position
    return units, skipped(position.check, "to be seen once the image is in HU")
