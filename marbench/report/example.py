"""The example that a leaderboard shows: the case on which the best method gains most, also as a preview of links."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marbench.report.findings import Findings
from marbench.report.formats import quantity
from marbench.report.gallery_store import StoredCase
from marbench.report.page import Output
from marbench.report.pictures import body_frame, method_images, named_pictures, picture_key, windowed, write_panels

__all__ = ["SHARE_FILE", "Example", "write_example"]

SHARE_FILE = "share.jpg"
_SHARE_SIZE = (1200, 630)
"""Pixels, as those who show previews of links ask for it."""


@dataclass(frozen=True)
class Example:
    """The panels of one case.

    Attributes
    ----------
    case_id, region, materials : str
    told : str
        Why this one.
    window : (low, high)
        Display window, HU.
    size : (rows, columns)
    frame : (left, top, width, height)
        What holds the body, in pixels.
    panels : tuple of (label, file)
        Truth, uncorrected, then the methods, the best first.
    preview : str
        What the preview shows.
    """

    case_id: str
    region: str
    materials: str
    told: str
    window: tuple[float, float]
    size: tuple[int, int]
    frame: tuple[int, int, int, int]
    panels: tuple[tuple[str, str], ...]
    preview: str


def write_example(findings: Findings, output: Output) -> Example | None:
    """Write the panels of the example, and the preview; None without pictures."""
    chosen = _choose(findings)
    if chosen is None:
        return None
    case_id, told = chosen
    case = findings.shown[case_id].stored
    corrected = method_images(findings, case_id, case.truth.shape, findings.corrections(findings.methods))
    best = next(iter(corrected), None)
    output.write(SHARE_FILE, _preview(case, case.truth if best is None else corrected[best]))
    beside = "the truth" if best is None else f"corrected by {findings.entries[best].title}"
    titles = {picture_key(method): entry.title for method, entry in findings.entries.items()}
    facts = findings.cases.facts.loc[case_id]
    rows, columns = case.truth.shape
    top, bottom, left, right = body_frame(case)
    return Example(
        case_id,
        str(facts["region"]),
        str(facts["materials"]).replace(",", " + "),
        told,
        case.window,
        (rows, columns),
        (left, top, right - left, bottom - top),
        write_panels(case_id, case, named_pictures(case, corrected), titles, output),
        f"Uncorrected, and {beside}",
    )


def _choose(findings: Findings) -> tuple[str, str] | None:
    """Return the case of the gallery on which the first method gains most over the uncorrected image, and why that one.

    Where it gains on none: the one on which it loses least. Without such scores: the one with the median metal.
    """
    table = findings.cases
    kept = [at for at, case in enumerate(table.ids) if case in findings.shown]
    if not kept:
        return None
    board, raw = findings.board, findings.benchmark.uncorrected
    best = next(iter(findings.corrections(board.ranked)), None) if board else None
    before = next((method for method in table.methods if method in raw), None)
    if board and best and before:
        # The most HU, where they are measured: decibels would choose a case that was almost right before.
        measure = next((each for each in board.measures if not each.convention), board.measures[0])
        scores = table.scores(measure.id)[[table.methods.index(before), table.methods.index(best)]][:, kept]
        gains = np.where(np.isfinite(scores).all(axis=0), measure.sign * (scores[1] - scores[0]), -np.inf)
        at = int(np.argmax(gains))
        if np.isfinite(gains[at]):
            ends = [quantity(float(score), measure) for score in scores[:, at]]
            does = "gains most" if gains[at] > 0 else "loses least"
            words = f"of the cases with pictures the one on which {findings.entries[best].title} {does}: "
            return table.ids[kept[at]], f"{words}{measure.title} {ends[0]} → {ends[1]}"
    areas = table.facts["metal_area_px"].to_numpy(np.float64)[kept]
    middle = kept[int(np.argsort(areas, kind="stable")[len(kept) // 2])]
    return table.ids[middle], "of the cases with pictures the one with the median metal"


def _preview(case: StoredCase, other: NDArray[np.int16]) -> bytes:
    """Return the uncorrected image beside another one as JPEG, of the body alone."""
    from PIL import Image

    width, height = _SHARE_SIZE
    sheet = Image.new("RGB", _SHARE_SIZE)
    top, bottom, left, right = body_frame(case)
    scale = min(width / 2 / (right - left), height / (bottom - top))
    size = (round(scale * (right - left)), round(scale * (bottom - top)))
    for place, image in enumerate((case.uncorrected, other)):
        colours = windowed(image, case.metal, case.window)[top:bottom, left:right]
        panel = Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC)
        sheet.paste(panel, (place * width // 2 + (width // 2 - size[0]) // 2, (height - size[1]) // 2))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
