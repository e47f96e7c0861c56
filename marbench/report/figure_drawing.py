"""Drawing the panels of a figure for a paper: pictures, a region of each magnified, errors, captions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from marbench.report.figure_file import WIDTHS_INCHES, figure_bytes
from marbench.report.gallery_store import StoredCase
from marbench.report.labels import cut, text_width
from marbench.report.pictures import windowed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["REGION", "Panel", "draw_panels"]

REGION = (0.18, 0.36)
"""Rows and columns of the magnified region, as parts of the picture's width."""
_COLUMNS = {"single": 3, "double": 5}
_CAPTION_INCHES, _GAP_INCHES = 0.36, 0.03
_METAL_GREY = 0.35
_LONGEST = 60
"""Narrow characters: no caption has room for more."""
# Blue and red are told apart by almost everybody; white is no error.
_ERROR_COLOURS = "RdBu_r"


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
    error_hu: float | None = None,
) -> bytes:
    """Return the figure as the content of a file of a kind, ``png``, ``pdf`` or ``svg``.

    Parameters
    ----------
    panels : sequence of Panel
        The first one is the truth.
    case : StoredCase
        Of the same part of the image as the panels.
    window : (low, high)
        HU.
    centre : (row, column)
        Of the magnified region, which is moved where it would leave the picture.
    kind, width : str
        See `WIDTHS_INCHES`.
    error_hu : float, optional
        Draw the errors below, from minus to plus this.
    """
    sheet = _Sheet.of(len(panels), case.truth.shape, WIDTHS_INCHES[width], _COLUMNS[width], error_hu is not None)
    region = _region(case.truth.shape, centre)

    def draw(figure: Figure) -> None:
        for index, panel in enumerate(panels):
            colours = windowed(panel.image, case.metal, window)
            _whole(sheet.axes(figure, index, 0), colours, region)
            _magnified(sheet.axes(figure, index, 1), colours, region)
            lowest = sheet.axes(figure, index, 2) if error_hu is not None else figure.axes[-1]
            if error_hu is not None:
                _errors(lowest, panel.image, case, error_hu, index == 0)
            _caption(lowest, panel, _letter(index))

    return figure_bytes(draw, kind, sheet.width, sheet.height)


@dataclass(frozen=True)
class _Sheet:
    """Where the parts of every panel lie, in inches: the picture, the magnified region, and maybe the error."""

    width: float
    height: float
    across: int
    part: float
    heights: tuple[float, ...]

    @classmethod
    def of(cls, panels: int, shape: tuple[int, ...], width: float, most: int, errors: bool) -> _Sheet:
        down = math.ceil(panels / most)
        across = math.ceil(panels / down)
        part = width / across - _GAP_INCHES
        tall = part * shape[0] / shape[1]
        heights = (tall, part * REGION[0] / REGION[1], *((tall,) if errors else ()))
        row = sum(heights) + _GAP_INCHES * len(heights) + _CAPTION_INCHES
        return cls(width, down * row, across, part, heights)

    def axes(self, figure: Figure, panel: int, part: int) -> Axes:
        """Return the axes of a part of a panel."""
        row, column = divmod(panel, self.across)
        whole = sum(self.heights) + _GAP_INCHES * len(self.heights) + _CAPTION_INCHES
        top = row * whole + sum(self.heights[:part]) + _GAP_INCHES * part
        left = column * self.width / self.across + _GAP_INCHES / 2
        bottom = self.height - top - self.heights[part]
        across, up = self.width, self.height
        axes = figure.add_axes((left / across, bottom / up, self.part / across, self.heights[part] / up))
        axes.set_axis_off()
        return axes


def _region(shape: tuple[int, ...], centre: tuple[float, float]) -> tuple[float, float, float, float]:
    """Return the ends of the magnified region within the picture: top, bottom, left, right."""
    ends: list[float] = []
    for size, part, middle in zip(shape, REGION, centre, strict=True):
        half = min(part * shape[1], size) / 2
        place = min(max(middle, half - 0.5), size - 0.5 - half)
        ends += [place - half, place + half]
    top, bottom, left, right = ends
    return top, bottom, left, right


def _whole(axes: Axes, colours: NDArray[Any], region: tuple[float, float, float, float]) -> None:
    from matplotlib.patches import Rectangle

    top, bottom, left, right = region
    axes.imshow(colours, interpolation="nearest", aspect="auto")
    axes.add_patch(
        Rectangle((left, top), right - left, bottom - top, edgecolor="white", facecolor="none", linewidth=0.6)
    )


def _magnified(axes: Axes, colours: NDArray[Any], region: tuple[float, float, float, float]) -> None:
    top, bottom, left, right = region
    axes.imshow(colours, interpolation="nearest", aspect="auto")
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)


def _errors(axes: Axes, image: NDArray[np.int16], case: StoredCase, limit: float, is_truth: bool) -> None:
    """Draw an error map; in the place of the truth, which has none, the scale of the others."""
    import matplotlib as mpl

    if not is_truth:
        error = image.astype(np.float64) - case.truth
        colours = mpl.colormaps[_ERROR_COLOURS](np.clip(error / (2 * limit) + 0.5, 0, 1))[..., :3]
        colours[case.metal] = _METAL_GREY
        axes.imshow(colours, interpolation="nearest", aspect="auto")
        return
    scale = axes.inset_axes((0.08, 0.5, 0.84, 0.06))
    scale.imshow(np.linspace(0, 1, 256)[None], cmap=_ERROR_COLOURS, aspect="auto", extent=(-limit, limit, 0, 1))
    scale.set_yticks([])
    scale.set_xticks([-limit, 0, limit], [f"−{limit:g}", "0", f"+{limit:g}"], fontsize=6)
    scale.set_xlabel("error, HU", fontsize=6, labelpad=1)
    scale.tick_params(length=2, pad=1)


def _caption(axes: Axes, panel: Panel, letter: str) -> None:
    """Write below a panel what it is, cut to its width, and its scores."""
    name, room = f"({letter}) {panel.label}", axes.get_window_extent().width
    style: Any = {"ha": "center", "va": "top", "linespacing": 1.3}
    note = axes.annotate(name, (0.5, 0), (0, -3), "axes fraction", "offset points", **style)
    for longest in range(min(text_width(name), _LONGEST), 0, -1):
        note.set_text(cut(name, longest))
        if note.get_window_extent().width <= room:
            break
    note.set_text(f"{note.get_text()}\n{panel.scores}")


def _letter(index: int) -> str:
    return chr(ord("a") + index) if index < 26 else str(index + 1)
