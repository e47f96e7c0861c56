"""The stored images of a case as PNG panels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.machine.files import safe_name
from marbench.report.benchmark import Benchmark
from marbench.report.gallery_store import read_case, read_method, stored_cases
from marbench.report.page import Output

__all__ = ["METAL_COLOUR", "Strip", "example_strip", "png", "windowed"]

METAL_COLOUR = (255, 196, 0)
# matplotlib would sign the file with its version.
_NAMELESS: Any = {"Software": None}


@dataclass(frozen=True)
class Strip:
    """The panels of one case.

    Attributes
    ----------
    case_id : str
    window : (low, high)
        Display window, HU.
    size : (rows, columns)
    panels : tuple of (label, file)
        Truth, uncorrected, then the methods.
    """

    case_id: str
    window: tuple[float, float]
    size: tuple[int, int]
    panels: tuple[tuple[str, str], ...]


def example_strip(benchmark: Benchmark, methods: Sequence[str], output: Output) -> Strip | None:
    """Write the panels of one case: of those with pictures, the one with the median metal. None without pictures."""
    folders = stored_cases(benchmark, output.note)
    pictured = benchmark.rows[benchmark.rows["case_id"].isin(list(folders))].drop_duplicates("case_id")
    ordered = pictured.sort_values(["metal_area_px", "case_id"], kind="stable")["case_id"].tolist()
    if not ordered:
        return None
    case_id = str(ordered[len(ordered) // 2])
    stored = read_case(folders[case_id], output.note)
    if stored is None:
        return None
    versions = benchmark.rows.drop_duplicates("method").set_index("method")["method_hash"]
    images = {"truth": stored.truth, "uncorrected": stored.uncorrected}
    for method in methods:
        image = read_method(folders[case_id], method, str(versions[method]), stored.truth.shape, output.note)
        if image is not None:
            images[method] = image
    panels = []
    for label, image in images.items():
        name = f"pictures/{safe_name(case_id)}/{safe_name(label)}.png"
        panels.append((label, output.write(name, png(windowed(image, stored.metal, stored.window)))))
    rows, columns = stored.truth.shape
    return Strip(case_id, stored.window, (rows, columns), tuple(panels))


def windowed(image: NDArray[np.int16], metal: NDArray[np.bool_], window: tuple[float, float]) -> NDArray[np.uint8]:
    """Return an image in HU as grey values of a display window, the metal in colour; ``(rows, columns, 3)``."""
    low, high = window
    grey = np.clip((image.astype(np.float64) - low) / (high - low), 0, 1) * 255
    colours = np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)
    colours[metal] = METAL_COLOUR
    return colours


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return pixels as PNG, without a word about the software or the time."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png", metadata=_NAMELESS)
    return buffer.getvalue()
