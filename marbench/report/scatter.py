"""Accuracy against what it takes, seconds or years: a scatter with its Pareto front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from marbench.report.axes import Axis, linear_axis

__all__ = ["NARROW", "WIDTH", "Point", "Scatter", "pareto_front", "scatter"]

WIDTH, NARROW = 760, 350
_HEIGHTS = {WIDTH: 440, NARROW: 320}
_LEFT, _TOP, _BOTTOM = 56, 14, 46
# Beside the plot: room for labels of the points at its end, but for the edge.
_RIGHTS = {WIDTH: 80, NARROW: 30}
_EDGE = 6
_CHARACTER, _LINE, _LONGEST = 6.6, 14, 28


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
    """A point as drawn, with its label, which is empty where there is no room for it, and the place of that."""

    point: Point
    x: float
    y: float
    text: str
    text_x: float
    text_y: float
    anchor: str
    on_front: bool


@dataclass(frozen=True)
class Scatter:
    """A drawing, in units of its own view box."""

    width: int
    height: int
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    front: str


def scatter(
    points: Sequence[Point],
    axis: Callable[[Sequence[float], float, float], Axis],
    higher_is_better: bool = True,
    width: int = WIDTH,
) -> Scatter | None:
    """Return the drawing of points with finite scores, at places that the axis can show; None without any."""
    if not points:
        return None
    height = _HEIGHTS[width]
    ordered = sorted(points, key=lambda point: (point.at, point.label))
    x = axis([point.at for point in ordered], _LEFT, width - _RIGHTS[width])
    y = linear_axis([point.score for point in ordered], height - _BOTTOM, _TOP)
    front = pareto_front(ordered, higher_is_better)
    return Scatter(width, height, x, y, _place(ordered, front, x, y, width - _EDGE), _steps(front, x, y))


def pareto_front(points: Sequence[Point], higher_is_better: bool = True) -> list[Point]:
    """Return the points that no earlier one equals in score, the earliest first."""
    sign = 1.0 if higher_is_better else -1.0
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.at, -sign * point.score, point.label)):
        if not front or sign * point.score > sign * front[-1].score:
            front.append(point)
    return front


def _steps(front: Sequence[Point], x: Axis, y: Axis) -> str:
    """Return the SVG path of the front: what can be had by then."""
    path = f"M{x(front[0].at)} {y.start}V{y(front[0].score)}"
    for point in front[1:]:
        path += f"H{x(point.at)}V{y(point.score)}"
    return f"{path}H{x.end}"


def _place(points: Sequence[Point], front: Sequence[Point], x: Axis, y: Axis, edge: float) -> tuple[Mark, ...]:
    """Put every label where it covers no mark and no other label, those of the front first; without a place, none."""
    lines = _lines(front, x, y)
    taken = [(x(point.at) - 7, y(point.score) - 7, x(point.at) + 7, y(point.score) + 7) for point in points]
    found, limits = {}, (x.start, edge)
    for point in (*front, *(point for point in points if point not in front)):
        at_x, at_y, text = x(point.at), y(point.score), _shortened(point.label)
        places = [
            (at_x + {"start": 10, "middle": 0, "end": -10}[anchor], at_y + shift, anchor)
            for shift in (4, -11, 19, -25, 33)
            for anchor in ("start", "end", "middle")
            if anchor != "middle" or shift != 4
        ]
        boxes = [_box(place, _CHARACTER * len(text)) for place in places]
        chosen = min(range(len(places)), key=lambda index: (_cost(boxes[index], [*taken, *lines], limits), index))
        text_x, text_y, anchor = places[chosen]
        # Under the pointer, and in the table, a mark without a label has its name.
        free = _cost(boxes[chosen], taken, limits) == 0
        taken += [boxes[chosen]] if free else []
        drawn = text if free else ""
        found[point] = Mark(point, at_x, at_y, drawn, round(text_x, 2), round(text_y, 2), anchor, point in front)
    return tuple(found[point] for point in points)


def _lines(front: Sequence[Point], x: Axis, y: Axis) -> list[tuple[float, float, float, float]]:
    """Return what the front covers, as boxes."""
    lines = []
    for point, after in zip(front, [*front[1:], None], strict=True):
        right = x(after.at) if after else x.end
        lines.append((x(point.at), y(point.score) - 2, right, y(point.score) + 2))
        if after:
            lines.append((right - 2, y(after.score), right + 2, y(point.score)))
    return lines


def _shortened(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"


def _box(place: tuple[float, float, str], width: float) -> tuple[float, float, float, float]:
    left, baseline, anchor = place
    left -= {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    return left, baseline - _LINE + 3, left + width, baseline + 3


def _cost(box: tuple[float, ...], taken: Sequence[tuple[float, ...]], limits: tuple[float, float]) -> float:
    """Return the area that a label would cover of what is there, and how far it would leave its limits."""
    cost = 50 * (max(0.0, limits[0] - box[0]) + max(0.0, box[2] - limits[1]))
    for other in taken:
        width = min(box[2], other[2]) - max(box[0], other[0])
        height = min(box[3], other[3]) - max(box[1], other[1])
        cost += max(0.0, width) * max(0.0, height)
    return cost
