"""Drawing a metal on a pixel grid: sub-pixel samples, taken only where an outline may pass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marbench.phantoms.shapes import Bounds, Shape, members

__all__ = ["Frame", "Window", "paint"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """Rows and columns of a grid, end exclusive."""

    row: int
    row_end: int
    column: int
    column_end: int

    @property
    def shape(self) -> tuple[int, int]:
        """``(rows, columns)``, at least 0."""
        return max(self.row_end - self.row, 0), max(self.column_end - self.column, 0)

    @property
    def slices(self) -> tuple[slice, slice]:
        """The part of the grid's array."""
        return slice(self.row, self.row_end), slice(self.column, self.column_end)


@dataclass(frozen=True)
class Frame:
    """How a drawing lies on a grid of ``rows`` × ``columns`` pixels.

    A point of the drawing is moved by ``centre``, mirrored left to right (if so told), scaled by ``unit`` (pixels per
    unit of the drawing), turned by ``angle`` (radians, counter-clockwise) and shifted by ``(x, y)`` pixels from the
    middle of the grid. Each pixel has ``per_side²`` samples.
    """

    rows: int
    columns: int
    unit: float
    x: float
    y: float
    angle: float
    mirror: bool
    centre: tuple[float, float]
    per_side: int

    def drawing(self, row: FloatArray, column: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the drawing's coordinates of points given in (fractional) rows and columns."""
        # A whole-pixel shift is taken off the integer index, so that it changes no bit of what follows.
        whole_x, whole_y = round(self.x), round(self.y)
        dx = (column - (self.columns - 1) / 2 - whole_x) - _fraction(self.x - whole_x)
        dy = ((self.rows - 1) / 2 - row - whole_y) - _fraction(self.y - whole_y)
        cos, sin = math.cos(self.angle) / self.unit, math.sin(self.angle) / self.unit
        x, y = dx * cos + dy * sin, dy * cos - dx * sin
        return (-x if self.mirror else x) - self.centre[0], y - self.centre[1]

    def window(self, box: Bounds) -> Window:
        """Return the pixels of the grid that a box of the drawing may touch."""
        cos, sin = math.cos(self.angle) * self.unit, math.sin(self.angle) * self.unit
        corners = []
        for x in (box.left + self.centre[0], box.right + self.centre[0]):
            for y in (box.bottom + self.centre[1], box.top + self.centre[1]):
                x_mirrored = -x if self.mirror else x
                corners.append((x_mirrored * cos - y * sin + self.x, x_mirrored * sin + y * cos + self.y))
        xs, ys = zip(*corners, strict=True)
        middle_row, middle_column = (self.rows - 1) / 2, (self.columns - 1) / 2
        return Window(
            row=max(math.floor(middle_row - max(ys)), 0),
            row_end=min(math.ceil(middle_row - min(ys)) + 1, self.rows),
            column=max(math.floor(middle_column + min(xs)), 0),
            column_end=min(math.ceil(middle_column + max(xs)) + 1, self.columns),
        )


def paint(samples: NDArray[np.uint8], window: Window, shape: Shape, label: int, frame: Frame) -> None:
    """Write ``label`` into the samples that a shape covers.

    Parameters
    ----------
    samples : uint8 array ``(window rows, window columns, samples per pixel)``
        Changed in place.
    window : Window
        The pixels that ``samples`` stands for.
    shape : Shape
    label : int
    frame : Frame
    """
    for member in members(shape):
        _paint(samples, window, member, label, frame)


def _paint(samples: NDArray[np.uint8], window: Window, shape: Shape, label: int, frame: Frame) -> None:
    box = frame.window(shape.bounds)
    if 0 in box.shape:
        return
    rows = np.arange(box.row, box.row_end, dtype=np.float64)[:, None]
    columns = np.arange(box.column, box.column_end, dtype=np.float64)[None, :]
    depth = shape.distance(*frame.drawing(*np.broadcast_arrays(rows, columns)))
    # Of a pixel, in units of the drawing: further from the outline than this a pixel is wholly in or out.
    half_diagonal = math.sqrt(0.5) / frame.unit
    above, left = window.row, window.column
    view = samples[box.row - above : box.row_end - above, box.column - left : box.column_end - left]
    view[depth >= half_diagonal] = label
    row, column = np.nonzero(np.abs(depth) < half_diagonal)
    steps = (np.arange(frame.per_side) + 0.5) / frame.per_side - 0.5
    points = frame.drawing(
        row[:, None] + (box.row + np.repeat(steps, frame.per_side)),
        column[:, None] + (box.column + np.tile(steps, frame.per_side)),
    )
    covered = shape.distance(*points) > 0
    view[row, column] = np.where(covered, np.uint8(label), view[row, column])


def _fraction(value: float) -> float:
    # A shift given in cm misses a whole pixel by rounding only.
    return 0.0 if abs(value) < 1e-9 else value
