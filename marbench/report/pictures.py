"""The stored images of a case as PNG panels."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.machine.files import safe_name
from marbench.report.benchmark import Benchmark
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
    folders = {path.parent.name: path.parent for run in benchmark.folders for path in run.glob("images/*/_case.npz")}
    rows = benchmark.rows[benchmark.rows["case_id"].isin(list(folders))].drop_duplicates("case_id")
    ordered = rows.sort_values(["metal_area_px", "case_id"], kind="stable")["case_id"].tolist()
    if not ordered:
        return None
    case_id = str(ordered[len(ordered) // 2])
    return _strip(case_id, folders[case_id], methods, output)


def _strip(case_id: str, folder: Path, methods: Sequence[str], output: Output) -> Strip | None:
    """Return None for pictures that cannot be read."""
    panels = []
    try:
        with (folder / "_case.npz").open("rb") as stream, np.load(stream) as case:
            low, high = map(float, case["window"])
            metal, images = case["metal"], {"truth": case["truth"], "uncorrected": case["uncorrected"]}
        for method in methods:
            if (path := folder / f"{safe_name(method)}.npz").is_file():
                with path.open("rb") as stream, np.load(stream) as stored:
                    images[method] = stored["image"]
        for label, image in images.items():
            name = f"pictures/{safe_name(case_id)}/{safe_name(label)}.png"
            panels.append((label, output.write(name, png(windowed(image, metal, (low, high))))))
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
        return None
    return Strip(case_id, (low, high), metal.shape, tuple(panels))


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
