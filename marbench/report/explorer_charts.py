"""The explorer's drawings: distributions, scores against metal area, and who wins against whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from marbench.metrics.measure import Measure
from marbench.report.axes import WIDTHS, Axis, linear_axis, log_axis
from marbench.report.labels import CHARACTER, cut

__all__ = ["Area", "AreaPanel", "Duel", "Shape", "Shapes", "against_area", "distributions", "duels"]

_LEFT, _RIGHT, _ROW = 150, 12, 46
_POINTS = 200
_SMALL_WIDTH, _SMALL_HEIGHT, _TICK = 250, 170, 32


@dataclass(frozen=True)
class Shape:
    """The distribution of a method's scores, as drawn.

    Attributes
    ----------
    method : int
        Its place among the methods that were given.
    label, name : str
        In whole, and as far as there is room beside the row.
    middle : float
        Its row's coordinate.
    violin, points : str
        SVG paths: the density, and single cases.
    quartiles : (lower, median, upper)
        Coordinates.
    ends : (5th, 95th percentile)
        Coordinates.
    median : float
        In the measure's unit.
    count : int
    """

    method: int
    label: str
    name: str
    middle: float
    violin: str
    points: str
    quartiles: tuple[float, float, float]
    ends: tuple[float, float]
    median: float
    count: int


@dataclass(frozen=True)
class Shapes:
    """All distributions over one axis."""

    width: int
    height: int
    x: Axis
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class AreaPanel:
    """One method's scores against the metal area: single cases, and the medians of the size groups."""

    method: int
    label: str
    name: str
    points: str
    line: str


@dataclass(frozen=True)
class Area:
    """Small panels with common axes, and the medians of the best method for comparison."""

    width: int
    height: int
    x: Axis
    y: Axis
    reference: str
    panels: tuple[AreaPanel, ...]


@dataclass(frozen=True)
class Duel:
    """How a method fares against another.

    Attributes
    ----------
    share : float or None
        Percent of the common cases that it wins, ties counted half. None against itself or without common cases.
    level : int
        The share in steps from 0 to 10, for colour.
    wins, ties, losses : int
    """

    share: float | None
    level: int
    wins: int
    ties: int
    losses: int


def distributions(labels: Sequence[str], scores: NDArray[np.float64], width: int = WIDTHS["wide"]) -> Shapes | None:
    """Draw the scores ``(methods, cases)``, one row per method; None without finite scores.

    Densities are Gaussian kernel estimates with Scott's bandwidth. Of more than 200 cases every k-th in the order of
    the scores is drawn as a point.
    """
    kept = [(method, np.sort(row[np.isfinite(row)])) for method, row in enumerate(scores)]
    kept = [(method, row) for method, row in kept if len(row)]
    if not kept:
        return None
    x = linear_axis(
        [float(value) for _, row in kept for value in row[[0, -1]]], min(_LEFT, 0.3 * width), width - _RIGHT, pad=0.03
    )
    shapes = tuple(
        _shape(method, labels[method], row, x, 10 + _ROW * (index + 0.5)) for index, (method, row) in enumerate(kept)
    )
    return Shapes(width, 10 + _ROW * len(kept) + 42, x, shapes)


def _shape(method: int, label: str, values: NDArray[np.float64], x: Axis, middle: float) -> Shape:
    low, lower, median, upper, high = (float(value) for value in np.percentile(values, [5, 25, 50, 75, 95]))
    return Shape(
        method=method,
        label=label,
        name=cut(label, int((x.start - 10) / CHARACTER)),
        middle=round(middle, 1),
        violin=_violin(values, x, middle),
        points=_points(values, x, middle),
        quartiles=(x(lower), x(median), x(upper)),
        ends=(x(low), x(high)),
        median=median,
        count=len(values),
    )


def _violin(values: NDArray[np.float64], x: Axis, middle: float) -> str:
    """Return the closed path of a density; empty for scores that are all the same."""
    if len(values) < 3 or np.ptp(values) < 1e-9:
        return ""
    # A thousand of the sorted scores give the same curve.
    places = np.linspace(values[0], values[-1], 48)
    density = _density(values[:: max(1, len(values) // 1000)], places)
    half = density / density.max() * (_ROW * 0.42)
    upper = [f"{x(float(place)):.1f} {middle - size:.1f}" for place, size in zip(places, half, strict=True)]
    lower = [f"{x(float(place)):.1f} {middle + size:.1f}" for place, size in zip(places, half, strict=True)]
    return f"M{'L'.join([*upper, *reversed(lower)])}Z"


def _density(values: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a Gaussian kernel density of Scott's bandwidth, up to a factor.

    Importing ``scipy.stats`` for it would cost every command as much time as the whole page.
    """
    width = np.std(values, ddof=1) * len(values) ** -0.2
    density: NDArray[np.float64] = np.exp(-0.5 * ((places[:, None] - values) / width) ** 2).sum(axis=1)
    return density


def _points(values: NDArray[np.float64], x: Axis, middle: float) -> str:
    """Return dots as a path of lines without length; a round cap makes them visible."""
    chosen = values[:: -(-len(values) // _POINTS)]
    # The golden ratio spreads neighbours apart, the same way every time.
    jitter = (np.arange(len(chosen)) * 0.618034 % 1 - 0.5) * _ROW * 0.5
    dots = zip(chosen, jitter, strict=True)
    return "".join(f"M{x(float(value)):.1f} {middle + shift:.1f}h0" for value, shift in dots)


def against_area(
    labels: Sequence[str], scores: NDArray[np.float64], areas: NDArray[np.float64], groups: NDArray[np.float64]
) -> Area | None:
    """Draw scores ``(methods, cases)`` against metal areas in mm², one panel per method, the first for reference.

    Parameters
    ----------
    groups : float array ``(cases,)``
        Metal-size groups; the lines join their medians. Single metals of nearly one area would make them jump.
    """
    known = np.isfinite(areas) & (areas > 0)
    finite = np.isfinite(scores) & known
    if not finite.any():
        return None
    x = _with_room(log_axis([float(areas[known].min()), float(areas[known].max())], 38, _SMALL_WIDTH - 8))
    ends = [float(scores[finite].min()), float(scores[finite].max())]
    y = linear_axis(ends, _SMALL_HEIGHT - 30, 8, count=4)
    panels = []
    for method, (label, row, good) in enumerate(zip(labels, scores, finite, strict=True)):
        if good.any():
            dots, line = _dots(row, areas, good, x, y), _medians(row, areas, good, groups, x, y)
            panels.append(AreaPanel(method, label, cut(label, int((x.end - x.start) / CHARACTER)), dots, line))
    return Area(_SMALL_WIDTH, _SMALL_HEIGHT, x, y, panels[0].line, tuple(panels))


def _with_room(axis: Axis) -> Axis:
    """Drop the ticks whose numbers would touch."""
    kept: list[float] = []
    for tick in axis.ticks:
        if not kept or axis(tick) - axis(kept[-1]) >= _TICK:
            kept.append(tick)
    return replace(axis, ticks=tuple(kept))


def _dots(scores: NDArray[np.float64], areas: NDArray[np.float64], good: NDArray[np.bool_], x: Axis, y: Axis) -> str:
    order = np.flatnonzero(good)[np.argsort(scores[good], kind="stable")]
    chosen = order[:: -(-len(order) // _POINTS)]
    return "".join(f"M{x(float(areas[at])):.1f} {y(float(scores[at])):.1f}h0" for at in chosen)


def _medians(
    scores: NDArray[np.float64],
    areas: NDArray[np.float64],
    good: NDArray[np.bool_],
    groups: NDArray[np.float64],
    x: Axis,
    y: Axis,
) -> str:
    members = [good & (groups == group) for group in np.unique(groups[good])]
    corners = sorted((float(np.median(areas[own])), float(np.median(scores[own]))) for own in members)
    return f"M{'L'.join(f'{x(area):.1f} {y(score):.1f}' for area, score in corners)}"


def duels(scores: NDArray[np.float64], measure: Measure) -> list[list[Duel]]:
    """Compare methods pairwise on the cases ``(methods, cases)`` that both have; equal printed digits are a tie."""
    printed = np.round(measure.sign * scores, measure.digits)
    indices = range(len(printed))
    return [[_duel(printed[own], printed[other], own == other) for other in indices] for own in indices]


def _duel(own: NDArray[np.float64], other: NDArray[np.float64], same: bool) -> Duel:
    common = ~(np.isnan(own) | np.isnan(other))
    wins, losses = int((own > other)[common].sum()), int((own < other)[common].sum())
    total = int(common.sum())
    ties = total - wins - losses
    if same or not total:
        return Duel(None, 0, 0, 0, 0)
    share = 100 * (wins + ties / 2) / total
    return Duel(share, round(share / 10), wins, ties, losses)
