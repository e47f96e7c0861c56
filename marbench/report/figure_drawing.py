"""Drawing the panels of a figure for a paper with matplotlib: pictures, insets, captions."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from marbench.report.gallery_store import StoredCase
from marbench.report.pictures import BODY_HU, windowed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["INSET_PART", "WIDTHS_INCHES", "Panel", "draw_panels"]

WIDTHS_INCHES = {"single": 3.5, "double": 7.16}
"""Of one column and of two columns of a journal's page (IEEE)."""
_COLUMNS = {"single": 3, "double": 5}
_CAPTION_INCHES = 0.36
INSET_PART = 0.18
"""The magnified region's part of the picture's width."""
_INSET_SIZE = 0.38
# Nothing about the day or the software: the same run gives the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture of a figure.

    Attributes
    ----------
    label : str
    image : int16 array ``(rows, columns)``
        HU.
    scores : str
        What stands below it.
    """

    label: str
    image: NDArray[np.int16]
    scores: str


def draw_panels(
    panels: Sequence[Panel],
    case: StoredCase,
    window: tuple[float, float],
    centre: tuple[float, float],
    kind: str,
    width: str = "double",
) -> bytes:
    """Return the figure as the content of a file of a kind, ``png``, ``pdf`` or ``svg``; see `WIDTHS_INCHES`."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A label is no mathematics, whatever signs it has; fonts stay text that an editor can change.
    style: Any = {
        "font.size": 7,
        "font.sans-serif": ["Arial", "Helvetica", "Liberation Sans", "DejaVu Sans"],
        "text.parse_math": False,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "marbench",
    }
    down = math.ceil(len(panels) / _COLUMNS[width])
    across = math.ceil(len(panels) / down)
    aspect = case.truth.shape[0] / case.truth.shape[1]
    panel_inches = WIDTHS_INCHES[width] / across
    size = (WIDTHS_INCHES[width], down * (panel_inches * aspect + _CAPTION_INCHES))
    buffer = io.BytesIO()
    with mpl.rc_context(style):
        figure = Figure(figsize=size, dpi=300, facecolor="white")
        FigureCanvasAgg(figure)
        corner = _free_corner(case.truth, centre)
        for index, panel in enumerate(panels):
            row, column = divmod(index, across)
            height = panel_inches * aspect / size[1]
            bottom = 1 - (row + 1) * height - row * _CAPTION_INCHES / size[1]
            gap = 0.012
            axes = figure.add_axes((column / across + gap / across, bottom, (1 - 2 * gap) / across, height * (1 - gap)))
            _caption(axes, panel, _letter(index))
            _picture(axes, windowed(panel.image, case.metal, window), centre, corner)
        figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()


def _caption(axes: Axes, panel: Panel, letter: str) -> None:
    text = f"({letter}) {panel.label}\n{panel.scores}"
    axes.text(0.5, -0.03, text, transform=axes.transAxes, ha="center", va="top", linespacing=1.3)


def _picture(axes: Axes, colours: NDArray[np.uint8], centre: tuple[float, float], corner: tuple[float, float]) -> None:
    from matplotlib.patches import Rectangle

    rows, columns = colours.shape[:2]
    axes.imshow(colours, interpolation="nearest")
    axes.set_axis_off()
    half = INSET_PART * columns / 2
    row, column = centre
    axes.add_patch(
        Rectangle((column - half, row - half), 2 * half, 2 * half, edgecolor="white", facecolor="none", linewidth=0.7)
    )
    inset = axes.inset_axes((*corner, _INSET_SIZE, _INSET_SIZE * columns / rows))
    inset.imshow(colours, interpolation="nearest")
    inset.set_xlim(column - half, column + half)
    inset.set_ylim(row + half, row - half)
    inset.set_facecolor("black")
    inset.set_xticks([])
    inset.set_yticks([])
    for spine in inset.spines.values():
        spine.set_edgecolor("white")
        spine.set_linewidth(0.9)


def _free_corner(truth: NDArray[np.int16], centre: tuple[float, float]) -> tuple[float, float]:
    """Return the lower left end, in fractions from below left, of the inset that hides the least of the body."""
    rows, columns = truth.shape
    side, half = round(_INSET_SIZE * columns), INSET_PART * columns / 2
    row, column = centre

    def hidden(left: bool, top: bool) -> float:
        part = truth[:side, :] if top else truth[rows - side :, :]
        part = part[:, :side] if left else part[:, columns - side :]
        over_row = row - half < side if top else row + half > rows - side
        over_column = column - half < side if left else column + half > columns - side
        return float((part > BODY_HU).sum()) + (truth.size if over_row and over_column else 0)

    corners = [(left, top) for top in (False, True) for left in (False, True)]
    left, top = min(corners, key=lambda corner: hidden(*corner))
    height = _INSET_SIZE * columns / rows
    return 0.0 if left else 1 - _INSET_SIZE, 1 - height if top else 0.0


def _letter(index: int) -> str:
    return chr(ord("a") + index) if index < 26 else str(index + 1)
