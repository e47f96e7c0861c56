"""From values to scores, 0 for perfect to 4 for terrible: the axes of the AAPM CT-MAR challenge, calibrated on NMAR.

The organisers gave every case axes of its own: what NMAR reaches there is about 2. That rule makes axes for any case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from marbench.errors import MetricError, nearest

__all__ = ["SCORES", "Axis", "axis_of", "overall", "score"]

SCORES = (0, 0, 1, 2, 3, 4, 4)
"""The scores at the seven points of an axis."""

Axis = tuple[float, float, float, float, float, float, float]

# Alike for all cases of the challenge: edges as steep as the truth's, and half a percent of range to a score.
_FIXED: dict[str, Axis] = {
    "sharpness": (10, 1, 0.94, 0.85, 0.67, 0.56, 0),
    "proton_range": (0, 0, 0.005, 0.01, 0.015, 0.02, 9999),
}
_ERRORS = ("ct_number", "streak", "bone_volume", "metal_volume")
_LIKENESSES = ("ssim", "bone_dice", "metal_dice")
_FAR = 99999.0

# The eight, of which bone and metal are each scored by area and by overlap.
_EIGHT = (
    ("ct_number",),
    ("noise",),
    ("sharpness",),
    ("streak",),
    ("ssim",),
    ("bone_volume", "bone_dice"),
    ("metal_volume", "metal_dice"),
    ("proton_range",),
)


def score(value: float, axis: Axis) -> float:
    """Return the score of a value: linear between the points of its axis, constant beyond them.

    The points are put in order first, as the challenge's program does: an axis that goes to and fro scores so, too.

    >>> score(45.0, (0, 0, 30, 60, 90, 120, 99999))
    1.5
    """
    order = np.argsort(axis, kind="stable")
    return float(np.interp(value, np.asarray(axis)[order], np.asarray(SCORES)[order]))


def axis_of(name: str, nmar: float, truth: float = 0.0) -> Axis:
    """Return the axis of a measure of ``aapm2024`` on one case.

    What NMAR reaches scores 2, half of its error 1, 3/2 of it 3, twice of it 4; likenesses by what they lack to 1. Of
    noise the truth's own scores 0 and twice of it 4; sharpness and proton range have one axis for all cases.

    Parameters
    ----------
    name : str
        A measure without its convention, e.g. ``ct_number``.
    nmar : float
        What NMAR reaches on this case.
    truth : float
        The noise of the truth on this case; for noise alone.

    Raises
    ------
    MetricError
        There is no axis of such a measure, or NMAR is perfect: then nothing can be said in units of its error.
    """
    if name in _FIXED:
        return _FIXED[name]
    if name == "noise":
        unit, start = truth / 4, truth
    elif name in _ERRORS or name in _LIKENESSES:
        unit, start = (1 - nmar if name in _LIKENESSES else nmar) / 2, 0.0
    else:
        raise MetricError(f"There is no axis of {name!r}; {nearest(name, [one for each in _EIGHT for one in each])}")
    if not unit > 0:
        raise MetricError(f"The axis of {name} is in units of an error above 0. Got {unit:g}.")
    errors = [start + step * unit for step in range(5)]
    if name in _LIKENESSES:
        return (20.0, 1.0, *(1 - error for error in errors[1:]), -20.0)  # type: ignore[return-value]
    return (0.0, *errors, _FAR)  # type: ignore[return-value]


def overall(values: Mapping[str, float], axes: Mapping[str, Axis]) -> float:
    """Return the score of a case, the mean of the eight; NaN where the case has none of them.

    A measure without a number on this case, or without an axis, is left out.

    Parameters
    ----------
    values : mapping
        Measure without its convention → value under ``aapm2024``.
    axes : mapping
        Measure → axis.
    """
    scores = [
        np.mean(known)
        for names in _EIGHT
        if (known := [score(values[one], axes[one]) for one in names if _is_known(one, values, axes)])
    ]
    return float(np.mean(scores)) if scores else math.nan


def _is_known(name: str, values: Mapping[str, float], axes: Mapping[str, Axis]) -> bool:
    return name in axes and not math.isnan(values.get(name, math.nan))
