"""The stored images of a case as PNG panels."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.machine.files import safe_name
from marbench.report.findings import Findings
from marbench.report.gallery_store import StoredCase, read_method
from marbench.report.page import Output

__all__ = [
    "BODY_HU",
    "METAL_COLOUR",
    "body_frame",
    "frame_of",
    "method_images",
    "named_pictures",
    "picture_key",
    "png",
    "windowed",
    "write_panels",
    "write_thumbnail",
]

METAL_COLOUR = (255, 196, 0)
BODY_HU = -500
"""What is above it is body."""
THUMBNAIL = 96
"""Most pixels of a side."""
_MARGIN = 0.03


def method_images(
    findings: Findings, case_id: str, shape: tuple[int, ...], methods: Sequence[str]
) -> dict[str, NDArray[np.int16]]:
    """Return the images of a case that are there, of the versions of the methods that the tables show."""
    folders, versions = findings.pictures[case_id], findings.benchmark.versions
    images = ((method, read_method(folders, method, versions[method], shape, findings.note)) for method in methods)
    return {method: image for method, image in images if image is not None}


def picture_key(method: str) -> str:
    """Return the key of a method's picture among those of a case: any method may be called truth, or uncorrected."""
    return f"method {method}"


def named_pictures(case: StoredCase, images: Mapping[str, NDArray[np.int16]]) -> dict[str, NDArray[np.int16]]:
    """Return all pictures of a case by their keys: truth, uncorrected, then those of methods."""
    corrected = {picture_key(method): image for method, image in images.items()}
    return {"truth": case.truth, "uncorrected": case.uncorrected, **corrected}


def body_frame(case: StoredCase) -> tuple[int, int, int, int]:
    """Return the rows and columns that hold the body, with a margin: top, bottom, left, right. Without a body: all."""
    return frame_of((case.truth > BODY_HU) | case.metal)


def frame_of(body: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the rows and columns that hold a body, see `body_frame`."""
    sides: list[int] = []
    for axis in (1, 0):
        inside: NDArray[np.bool_] = np.any(body, axis=axis)
        size, at = len(inside), np.flatnonzero(inside)
        margin = round(_MARGIN * size)
        sides += [max(0, int(at[0]) - margin), min(size, int(at[-1]) + 1 + margin)] if len(at) else [0, size]
    top, bottom, left, right = sides
    return top, bottom, left, right


def write_panels(
    case_id: str,
    case: StoredCase,
    images: Mapping[str, NDArray[np.int16]],
    titles: Mapping[str, str],
    output: Output,
) -> tuple[tuple[str, str], ...]:
    """Write the images of a case as PNG, in its own window and with its metal; return (title, file) of each."""
    panels = []
    for label, image in images.items():
        name = f"pictures/{safe_name(case_id)}/{safe_name(label)}.png"
        panels.append(
            (titles.get(label, label.capitalize()), output.write(name, png(windowed(image, case.metal, case.window))))
        )
    return tuple(panels)


def write_thumbnail(case_id: str, case: StoredCase, output: Output) -> str:
    """Write the body of the uncorrected image as a small PNG; return its file."""
    top, bottom, left, right = body_frame(case)
    pixels = windowed(case.uncorrected, case.metal, case.window)[top:bottom, left:right]
    step = -(-max(pixels.shape[:2]) // THUMBNAIL)
    return output.write(f"pictures/{safe_name(case_id)}/_thumbnail.png", png(pixels[::step, ::step]))


def windowed(image: NDArray[Any], metal: NDArray[np.bool_], window: tuple[float, float]) -> NDArray[np.uint8]:
    """Return an image in HU as grey values of a display window, the metal in colour; ``(rows, columns, 3)``."""
    low, high = window
    grey = np.clip((image.astype(np.float64) - low) / (high - low), 0, 1) * 255
    colours = np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)
    colours[metal] = METAL_COLOUR
    return colours


def png(pixels: NDArray[np.uint8], notice: str = "") -> bytes:
    """Return colours, ``(rows, columns, 3)``, as PNG, without a word about the software or the time.

    A notice stands in the file beside the pixels, as the text "Disclaimer" (PNG specification, 11.3.4.2).
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    buffer, words = io.BytesIO(), PngInfo()
    if notice:
        words.add_text("Disclaimer", notice)
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=words)
    return buffer.getvalue()
