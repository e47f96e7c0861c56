"""Pictures of the gallery as scripts: pages that are opened from disk may load scripts, and no other data.

A value is guessed from the three before it by the median predictor of JPEG-LS (ITU-T T.87), and what the guess missed
is stored in two planes of bytes through zlib: without loss, in half the room of a 16-bit PNG. What remains is noise.
The first picture stands as it is, the others as their difference from it, with which they share a part of that.
All of a case lie in one stream: to load and unpack it once costs a browser a fraction of what a file of each would.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from marbench.report.formats import handing_script

__all__ = ["array_script", "pack"]


def array_script(name: str, mask: NDArray[np.bool_], arrays: Mapping[str, NDArray[np.int16]]) -> str:
    """Return a script that hands a mask and arrays, of one shape ``(rows, columns)``, to the gallery."""
    data = base64.b64encode(pack(mask, *arrays.values())).decode("ascii")
    entry = {"shape": list(mask.shape), "names": list(arrays), "data": data}
    return handing_script("marbenchImages", name, entry)


def pack(mask: NDArray[np.bool_], first: NDArray[np.int16], *others: NDArray[np.int16]) -> bytes:
    """Return a mask and arrays ``(rows, columns)`` as bytes, without loss."""
    # Modulo 2¹⁶, as int16 subtracts and adds.
    planes = [_planes(array) for array in (first, *(other - first for other in others))]
    # Noise repeats nothing: to look for runs alone is smaller by a twelfth, and four times as fast.
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return packer.compress(b"".join([np.packbits(mask).tobytes(), *planes])) + packer.flush()


def _planes(array: NDArray[np.int16]) -> bytes:
    """Return by how much every value is missed: the low bytes of all, then the high ones."""
    missed = (array.astype(np.int32) - _guesses(array)).astype(np.int16).astype(np.int32)
    # Small misses of either sign become small numbers: 0, −1, 1, −2 … are 0, 1, 2, 3 …
    folded = np.where(missed < 0, -2 * missed - 1, 2 * missed).astype("<u2")
    return folded.view(np.uint8).reshape(-1, 2).T.tobytes()


def _guesses(array: NDArray[np.int16]) -> NDArray[np.int32]:
    """Return what the median predictor expects of every value from those on its left and above; outside it is 0."""
    known = np.pad(array.astype(np.int32), ((1, 0), (1, 0)))
    left, above, corner = known[1:, :-1], known[:-1, 1:], known[:-1, :-1]
    low, high = np.minimum(left, above), np.maximum(left, above)
    return np.where(corner >= high, low, np.where(corner <= low, high, left + above - corner))
