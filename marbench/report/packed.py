"""Arrays of the gallery as scripts: pages that are opened from disk may load scripts, and no other data.

A value is guessed from the three before it by the median predictor of JPEG-LS (ITU-T T.87), and what the guess missed
is stored in two planes of bytes through zlib: without loss, in half the room of a 16-bit PNG. What remains is noise.
Images of methods are stored as their difference from the truth, with which they share a part of that.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.report.formats import data_script

__all__ = ["array_script", "pack"]


def array_script(case_id: str, arrays: Mapping[str, NDArray[Any]], base: str = "") -> str:
    """Return a script that hands arrays of a case to the gallery.

    Parameters
    ----------
    case_id : str
    arrays : mapping
        Name → int16 or boolean array ``(rows, columns)``.
    base : str
        The array of the same case that these are the differences from, modulo 2¹⁶.
    """
    lines = ["window.marbenchImages = window.marbenchImages || {};"]
    for name, array in arrays.items():
        entry = {
            "shape": list(array.shape),
            "kind": "bits" if array.dtype == np.bool_ else "int16",
            "data": base64.b64encode(pack(array)).decode("ascii"),
        }
        if base:
            entry["base"] = base
        lines.append(f"window.marbenchImages[{data_script(f'{case_id}/{name}')}] = {data_script(entry)};")
    return "\n".join([*lines, ""])


def pack(array: NDArray[Any]) -> bytes:
    """Return an array ``(rows, columns)`` of int16 or bool as bytes, without loss."""
    if array.dtype == np.bool_:
        return zlib.compress(np.packbits(array).tobytes(), 9)
    missed = (array.astype(np.int32) - _guesses(array)).astype(np.int16).astype(np.int32)
    # Small misses of either sign become small numbers: 0, −1, 1, −2 … are 0, 1, 2, 3 …
    folded = np.where(missed < 0, -2 * missed - 1, 2 * missed).astype("<u2")
    # Noise repeats nothing: to look for runs alone is smaller by a twelfth, and four times as fast.
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return packer.compress(folded.view(np.uint8).reshape(-1, 2).T.tobytes()) + packer.flush()


def _guesses(array: NDArray[np.int16]) -> NDArray[np.int32]:
    """Return what the median predictor expects of every value from those on its left and above; outside it is 0."""
    known = np.pad(array.astype(np.int32), ((1, 0), (1, 0)))
    left, above, corner = known[1:, :-1], known[:-1, 1:], known[:-1, :-1]
    low, high = np.minimum(left, above), np.maximum(left, above)
    return np.where(corner >= high, low, np.where(corner <= low, high, left + above - corner))
