"""One stored picture: of a case, or of a method on a case. Whoever reads one sees that it is whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.errors import StoreError
from marbench.machine.arrays import npz, read_npz
from marbench.machine.files import safe_name
from marbench.metrics.regions import REGIONS

__all__ = ["CASE_FILE", "StoredCase", "encode_case", "encode_image", "image_file", "load_case", "load_image"]

CASE_FILE = "_case.npz"
"""What the methods' images of a case lie beside; no label has a safe name that begins so."""

_REGION = "region "
"""What the name of an array begins with that holds a region."""

# Arrays of a case by what they hold: (rows, columns), and (views, bins).
_IMAGES = {"truth": np.int16, "uncorrected": np.int16, "metal": np.bool_}
_SINOGRAMS = {"sinogram": np.int16, "truth_sinogram": np.int16, "metal_trace": np.bool_}

# Wider windows are no patient's: a file of somebody else must not make a slider of 1e300 HU.
_WINDOW_HU = 1e6


@dataclass(frozen=True, eq=False)
class StoredCase:
    """What is stored of a case.

    Attributes
    ----------
    truth, uncorrected : int16 array ``(rows, columns)``
        HU.
    metal : bool array ``(rows, columns)``
        Pixels taken for metal, the ``metal_mask`` of `marbench.Scan`.
    window : (low, high)
        Display window, HU.
    sinogram, truth_sinogram : int16 array ``(views, bins)``
        Line integrals in units of 0.001.
    metal_trace : bool array ``(views, bins)``
    regions : mapping
        Name of `marbench.metrics.regions.REGIONS` → bool array ``(rows, columns)``, of what measures looked at.
    """

    truth: NDArray[np.int16]
    uncorrected: NDArray[np.int16]
    metal: NDArray[np.bool_]
    window: tuple[float, float]
    sinogram: NDArray[np.int16]
    truth_sinogram: NDArray[np.int16]
    metal_trace: NDArray[np.bool_]
    regions: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)


def image_file(method: str) -> str:
    """Return the name of the file with a method's image."""
    return f"{safe_name(method)}.npz"


def encode_case(case: StoredCase) -> bytes:
    """Return a case as a file."""
    arrays: dict[str, NDArray[Any]] = {name: getattr(case, name) for name in (*_IMAGES, *_SINOGRAMS)}
    # float64 as in the case: a window that was rounded would be another convention of PSNR.
    arrays["window"] = np.array(case.window, dtype=np.float64)
    arrays |= {f"{_REGION}{name}": mask for name, mask in case.regions.items()}
    return npz(arrays)


def encode_image(image: NDArray[np.int16], method: str, method_hash: str) -> bytes:
    """Return an image in HU and the version of the method that it is of as a file."""
    return npz({"image": image, "method": np.array(method), "method_hash": np.array(method_hash)})


def load_case(path: Path) -> StoredCase:
    """Return what is stored of a case.

    Raises
    ------
    StoreError
        The file is missing, damaged, or holds something else.
    """
    arrays = read_npz(path)
    images = {name: _checked(path, arrays, name, kind) for name, kind in _IMAGES.items()}
    sinograms = {name: _checked(path, arrays, name, kind) for name, kind in _SINOGRAMS.items()}
    named = [name for name in REGIONS if f"{_REGION}{name}" in arrays]
    regions = {name: _checked(path, arrays, f"{_REGION}{name}", np.bool_) for name in named}
    # Pages index one array by the mask of another.
    for group in ([*images.values(), *regions.values()], list(sinograms.values())):
        if len({array.shape for array in group}) > 1:
            raise _refusal(path, "its images differ in shape")
    # Written so that NaN fails, too.
    window = arrays.get("window", np.zeros(0))
    if window.shape != (2,) or window.dtype.kind not in "fi" or not -_WINDOW_HU <= window[0] < window[1] <= _WINDOW_HU:
        raise _refusal(path, "expected a window of two numbers in HU, the lower one first")
    held = (float(window[0]), float(window[1]))
    return StoredCase(window=held, regions=regions, **images, **sinograms)


def load_image(path: Path) -> tuple[NDArray[np.int16], str]:
    """Return a method's image ``(rows, columns)`` in HU, and the hash of the method that it is of.

    Raises
    ------
    StoreError
        The file is missing, damaged, or holds something else.
    """
    arrays = read_npz(path)
    version = arrays.get("method_hash", np.zeros(0))
    if version.shape != () or version.dtype.kind != "U":
        raise _refusal(path, "expected the hash of a method")
    return _checked(path, arrays, "image", np.int16), str(version)


def _checked(path: Path, arrays: dict[str, NDArray[Any]], name: str, kind: type[Any]) -> NDArray[Any]:
    array = arrays.get(name)
    if array is None or array.dtype != kind or array.ndim != 2 or not array.size:
        found = "none" if array is None else f"{array.dtype} of shape {array.shape}"
        raise _refusal(path, f"expected {name} as an array (rows, columns) of {np.dtype(kind)}, found {found}")
    return array


def _refusal(path: Path, why: str) -> StoreError:
    return StoreError(f"{path.parent.name}/{path.name} cannot be used: {why}")
