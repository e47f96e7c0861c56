"""Accuracy against what it takes, seconds or years: a scatter with its Pareto front."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from marbench.report.axes import WIDTHS, Axis, linear_axis
from marbench.report.labels import cut, text_width

__all__ = ["Point", "Scatter", "pareto_front", "scatter"]

_HEIGHTS = {WIDTHS["wide"]: 440, WIDTHS["narrow"]: 320}
_LEFT, _TOP, _BOTTOM = 56, 14, 46
# Beside the plot: room for labels of the points at its end, but for the edge.
_RIGHTS = {WIDTHS["wide"]: 80, WIDTHS["narrow"]: 30}
_EDGE = 6
_CHARACTER, _LINE, _LONGEST = 6.6, 14, 28
# Half a mark, and where a label may stand: aside, and down from the middle of its mark; the first that is free.
_MARK = 7
_PLACES = [
    (anchor, aside, shift)
    for aside, shift, anchor in product((10, 26), (4, -11, 19, -25, 33, -39, 47), ("start", "end", "middle"))
    if anchor != "middle" or (aside == 10 and shift != 4)
]

XY = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Point:
    """A method: where it stands (seconds of a call, year of its paper), its score, and what marks it."""

    label: str
    at: float
    score: float
    learned: bool
    baseline: bool


@dataclass(frozen=True)
class Mark:
    """A point as drawn, and its label, which is empty where there is no room for it.

    A label that another mark is nearer to has a line from its own, ``leader``: x, y, x, y.
    """

    point: Point
    x: float
    y: float
    text: str
    text_x: float
    text_y: float
    anchor: str
    leader: Box | None
    on_front: bool


@dataclass(frozen=True)
class Scatter:
    """A drawing, in units of its own view box; ``worse`` is the coordinate of that end of the scores."""

    width: int
    height: int
    x: Axis
    y: Axis
    worse: float
    marks: tuple[Mark, ...]
    front: str


def scatter(
    points: Sequence[Point],
    axis: Callable[[Sequence[float], float, float], Axis],
    higher_is_better: bool = True,
    width: int = WIDTHS["wide"],
) -> Scatter | None:
    """Return the drawing of points with finite scores, at places that the axis can show; None without any."""
    if not points:
        return None
    height = _HEIGHTS[width]
    ordered = sorted(points, key=lambda point: (point.at, point.label))
    x = axis([point.at for point in ordered], _LEFT, width - _RIGHTS[width])
    y = linear_axis([point.score for point in ordered], height - _BOTTOM, _TOP)
    front = pareto_front(ordered, higher_is_better)
    worse = y.start if higher_is_better else y.end
    marks = _place(ordered, front, x, y, width - _EDGE)
    return Scatter(width, height, x, y, worse, marks, _steps(front, x, y, worse))


def pareto_front(points: Sequence[Point], higher_is_better: bool = True) -> list[Point]:
    """Return the points that no earlier one equals in score, the earliest first."""
    sign = 1.0 if higher_is_better else -1.0
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.at, -sign * point.score, point.label)):
        if not front or sign * point.score > sign * front[-1].score:
            front.append(point)
    return front


def _steps(front: Sequence[Point], x: Axis, y: Axis, worse: float) -> str:
    """Return the SVG path of the front: what can be had by then."""
    path = f"M{x(front[0].at)} {worse}V{y(front[0].score)}"
    for point in front[1:]:
        path += f"H{x(point.at)}V{y(point.score)}"
    return f"{path}H{x.end}"


def _place(points: Sequence[Point], front: Sequence[Point], x: Axis, y: Axis, edge: float) -> tuple[Mark, ...]:
    """Put every label where it covers no mark and no other label, those of the front first; without a place, none."""
    lines, limits = _lines(front, x, y), (x.start, edge)
    drawn = {point: (x(point.at), y(point.score)) for point in points}
    taken = [_square(*at, _MARK) for at in drawn.values()]
    found = {}
    for point in (*front, *(point for point in points if point not in front)):
        text, others = cut(point.label, _LONGEST), [drawn[other] for other in points if other != point]
        labels = (_Label.at(drawn[point], place, _room(text), others) for place in _PLACES)
        label = min(labels, key=lambda label: (label.cost([*taken, *lines], limits), label.leader is not None))
        free = label.cost(taken, limits) == 0
        taken += label.boxes if free else ()
        # Under the pointer, and in the table, a mark without a label has its name.
        text, leader = (text, label.leader) if free else ("", None)
        found[point] = Mark(point, *drawn[point], text, label.x, label.y, label.anchor, leader, point in front)
    return tuple(found[point] for point in points)


def _room(text: str) -> float:
    # Names of methods have many capitals, which are wider by two fifths.
    return _CHARACTER * (text_width(text) + 0.4 * sum(map(str.isupper, text)))


def _lines(front: Sequence[Point], x: Axis, y: Axis) -> list[Box]:
    """Return what the front covers, as boxes."""
    lines = []
    for point, after in zip(front, [*front[1:], None], strict=True):
        right = x(after.at) if after else x.end
        lines.append((x(point.at), y(point.score) - 2, right, y(point.score) + 2))
        if after:
            lines.append((right - 2, y(after.score), right + 2, y(point.score)))
    return lines


@dataclass(frozen=True)
class _Label:
    """A place of a label: what it covers there, first its text, then the dots of its line."""

    x: float
    y: float
    anchor: str
    boxes: tuple[Box, ...]
    leader: Box | None

    @classmethod
    def at(cls, mark: XY, place: tuple[str, float, float], width: float, others: Sequence[XY]) -> _Label:
        """Return the label of a mark among others at one of `_PLACES`."""
        anchor, aside, down = place
        x, y = round(mark[0] + {"start": aside, "middle": 0.0, "end": -aside}[anchor], 2), round(mark[1] + down, 2)
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        box = left - 3, y - _LINE + 3, left + width + 3, y + 3
        end = _nearest(box, mark)
        length = math.dist(mark, end)
        # Of two marks that nearly lie on each other, none is the nearer.
        if all(math.dist(other, _nearest(box, other)) > length - 2 for other in others):
            return cls(x, y, anchor, (box,), None)
        along = (k / 10 for k in range(11) if k / 10 * length > 1.5 * _MARK)
        dots = (_square(mark[0] + t * (end[0] - mark[0]), mark[1] + t * (end[1] - mark[1]), 2) for t in along)
        return cls(x, y, anchor, (box, *dots), (*mark, *end))

    def cost(self, taken: Sequence[Box], limits: XY) -> float:
        """Return the area that it would cover of what is there, and how far it would leave its limits."""
        left, _, right, _ = self.boxes[0]
        cost = 50 * (max(0.0, limits[0] - left) + max(0.0, right - limits[1]))
        for own, other in product(self.boxes, taken):
            width, height = min(own[2], other[2]) - max(own[0], other[0]), min(own[3], other[3]) - max(own[1], other[1])
            cost += max(0.0, width) * max(0.0, height)
        return cost


def _square(x: float, y: float, half: float) -> Box:
    return x - half, y - half, x + half, y + half


def _nearest(box: Box, point: XY) -> XY:
    return min(max(point[0], box[0]), box[2]), min(max(point[1], box[1]), box[3])
