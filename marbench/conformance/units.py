"""Whether an image is in HU: air at −1000, tissue near 0, and nothing cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from marbench.conformance.specimens import Pair
from marbench.conformance.verdict import Finding, failed, ok, skipped

__all__ = ["check_units"]

NAME = "units"
# HU. Medians of whole tissues differ between correct methods by some tens.
TOLERANCE = 100.0
_CONTRAST = 0.15
# A cut is seen where so many pixels of the truth lie beyond it, and most of these hold the same value.
_CUT_PIXELS, _CUT_SHARE = 5, 0.8


class _Values(NamedTuple):
    """Pixels away from metal, of all cases."""

    answer: NDArray[np.float32]
    truth: NDArray[np.float32]


def check_units(pairs: Sequence[Pair]) -> Finding:
    """Find other units than HU, offsets, windows and 8 bits, by the medians of air and of soft tissue."""
    answers, truths = ([getattr(one, name)[~one.metal] for one in pairs] for name in ("answer", "truth"))
    values = _Values(np.concatenate(answers), np.concatenate(truths))
    air, soft = values.truth < -900, np.abs(values.truth) < 150
    if min(np.count_nonzero(air), np.count_nonzero(soft)) < 20:
        return skipped(NAME, "the cases show too little air or soft tissue")
    cut = _cut(values)
    if cut:
        return cut
    levels = [float(np.median(values.answer[tissue])) for tissue in (air, soft)]
    wanted = [float(np.median(values.truth[tissue])) for tissue in (air, soft)]
    return _levels(levels, wanted)


def _cut(values: _Values) -> Finding | None:
    """Return what a window has done to an image, if one has."""
    low, high = float(values.answer.min()), float(values.answer.max())
    below = _is_cut(values.answer[values.truth < low - TOLERANCE], low)
    above = _is_cut(values.answer[values.truth > high + TOLERANCE], high)
    if low > -1 and high < 256 and high > 100:
        found = f"8 bits: values lie in [{low:.0f}, {high:.0f}] as in a windowed picture; expected HU, air near -1000"
        return failed(NAME, found, "return HU themselves")
    if below or above:
        cuts = " and ".join([f"below {low:.0f} HU"] * below + [f"above {high:.0f} HU"] * above)
        advice = "leave out the window, or widen it to [-1024, 4000] HU"
        return failed(NAME, f"clipped: what lies {cuts} is cut off", advice)
    return None


def _is_cut(beyond: NDArray[np.float32], limit: float) -> bool:
    if beyond.size < _CUT_PIXELS:
        return False
    return bool(np.mean(np.abs(beyond - limit) < 0.5) > _CUT_SHARE)


def _levels(levels: Sequence[float], wanted: Sequence[float]) -> Finding:
    (air, soft), (true_air, true_soft) = levels, wanted
    found = f"air lies at {air:.0f} and soft tissue at {soft:.0f}; expected {true_air:.0f} and {true_soft:.0f} HU"
    contrast = (soft - air) / (true_soft - true_air)
    offset = soft - true_soft
    if abs(contrast - 1) > _CONTRAST:
        return failed(NAME, f"scaled: {found}", f"air and water are 1000 HU apart: divide by {contrast:.4g}")
    if abs(offset) > TOLERANCE or abs(air - true_air) > TOLERANCE:
        return failed(NAME, f"offset: {found}", f"subtract {offset:.0f}: files often store HU + 1024 or HU + 1000")
    return ok(NAME, found.partition(";")[0] + " HU")
