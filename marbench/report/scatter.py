"""Accuracy against time: a scatter with its Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marbench.report.axes import Axis, linear_axis, log_axis

__all__ = ["NARROW", "WIDTH", "Point", "Scatter", "pareto_front", "scatter"]

WIDTH, NARROW = 760, 350
_HEIGHTS = {WIDTH: 440, NARROW: 320}
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 14, 46
_CHARACTER, _LINE = 6.6, 14


@dataclass(frozen=True)
class Point:
    """A method: its cost, its score, and what marks it."""

    label: str
    seconds: float
    score: float
    learned: bool
    baseline: bool


@dataclass(frozen=True)
class Mark:
    """A point as drawn, with the place of its label."""

    point: Point
    x: float
    y: float
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


def scatter(points: Sequence[Point], higher_is_better: bool = True, width: int = WIDTH) -> Scatter | None:
    """Return the drawing of points with positive finite times and finite scores; None without any."""
    if not points:
        return None
    height = _HEIGHTS[width]
    ordered = sorted(points, key=lambda point: (point.seconds, point.label))
    x = log_axis([point.seconds for point in ordered], _LEFT, width - _RIGHT)
    y = linear_axis([point.score for point in ordered], height - _BOTTOM, _TOP)
    front = pareto_front(ordered, higher_is_better)
    return Scatter(width, height, x, y, _place(ordered, front, x, y), _steps(front, x, y))


def pareto_front(points: Sequence[Point], higher_is_better: bool = True) -> list[Point]:
    """Return the points that no other one beats in time without losing in score, fastest first."""
    sign = 1.0 if higher_is_better else -1.0
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.seconds, -sign * point.score, point.label)):
        if not front or sign * point.score > sign * front[-1].score:
            front.append(point)
    return front


def _steps(front: Sequence[Point], x: Axis, y: Axis) -> str:
    """Return the SVG path of the front: what can be had within a time."""
    path = f"M{x(front[0].seconds)} {y.start}V{y(front[0].score)}"
    for point in front[1:]:
        path += f"H{x(point.seconds)}V{y(point.score)}"
    return f"{path}H{x.end}"


def _place(points: Sequence[Point], front: Sequence[Point], x: Axis, y: Axis) -> tuple[Mark, ...]:
    """Put every label where it covers no point and no earlier label, if there is such a place."""
    taken = [(x(point.seconds) - 7, y(point.score) - 7, x(point.seconds) + 7, y(point.score) + 7) for point in points]
    for point, after in zip(front, [*front[1:], None], strict=True):
        right = x(after.seconds) if after else x.end
        taken.append((x(point.seconds), y(point.score) - 2, right, y(point.score) + 2))
        if after:
            taken.append((right - 2, y(after.score), right + 2, y(point.score)))
    marks = []
    for point in points:
        at_x, at_y = x(point.seconds), y(point.score)
        width = _CHARACTER * min(len(point.label), 28)
        places = [
            (at_x + 10 if anchor == "start" else at_x - 10 if anchor == "end" else at_x, at_y + shift, anchor)
            for shift in (4, -11, 19, -25, 33)
            for anchor in ("start", "end", "middle")
            if anchor != "middle" or shift != 4
        ]
        boxes = [_box(place, width) for place in places]
        chosen = min(range(len(places)), key=lambda index: (_cost(boxes[index], taken, x), index))
        taken.append(boxes[chosen])
        text_x, text_y, anchor = places[chosen]
        marks.append(Mark(point, at_x, at_y, round(text_x, 2), round(text_y, 2), anchor, point in front))
    return tuple(marks)


def _box(place: tuple[float, float, str], width: float) -> tuple[float, float, float, float]:
    left, baseline, anchor = place
    left -= {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    return left, baseline - _LINE + 3, left + width, baseline + 3


def _cost(box: tuple[float, ...], taken: Sequence[tuple[float, ...]], x: Axis) -> float:
    """Return the area that a label would cover of what is there, and how far it would leave the plot."""
    cost = 50 * (max(0.0, x.start - box[0]) + max(0.0, box[2] - x.end))
    for other in taken:
        width = min(box[2], other[2]) - max(box[0], other[0])
        height = min(box[3], other[3]) - max(box[1], other[1])
        cost += max(0.0, width) * max(0.0, height)
    return cost
