"""What a number is. Rows, tables, pages, scripts and the terminal read what they store and print from a `Measure`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from marbench.errors import MetricError, nearest
from marbench.metrics.aapm import AAPM
from marbench.metrics.clinical import CLINICAL, Clinical, Need
from marbench.metrics.conventions import CONVENTIONS, known_conventions
from marbench.metrics.fidelity import Range, ScoredImage
from marbench.metrics.hallucination import HALLUCINATION
from marbench.metrics.places import AbsentRegion
from marbench.metrics.published import PUBLISHED

__all__ = ["LARGEST", "Measure", "Need", "measure", "measures_of", "stored_measures"]

LARGEST = 1e39
"""What no score exceeds: the RMSE of a float32 image stays below it, and sums of millions of them below the largest
float64."""

_CLINICAL = {"clinical": CLINICAL, "aapm2024": AAPM, "hallucination": HALLUCINATION}


@dataclass(frozen=True)
class Measure:
    """What a number is.

    Attributes
    ----------
    id : str
        The name of its column, with the convention that it follows, e.g. ``psnr[dudonet2019]``.
    title, unit : str
        For readers; the unit is empty where there is none.
    digits : int
        Decimals that are printed; numbers that are equal in them count as equal.
    higher_is_better : bool
    needs : frozenset of {"truth", "metal", "region", "scan"}
        What a case must have: a known truth, pixels of metal, a place for a region, a scan of known geometry. Of other
        cases there is no number.
    compute : callable
        `ScoredImage` → number.
    convention : str
        Id of the convention; empty where the measure needs none.
    definition : str
        One sentence for readers, where no convention defines the measure.
    bounds : (low, high)
        What no number of a picture lies beyond: others were not computed.
    """

    id: str
    title: str
    unit: str
    digits: int
    higher_is_better: bool
    needs: frozenset[Need]
    compute: Callable[[ScoredImage], float] = field(compare=False, repr=False)
    convention: str = ""
    definition: str = ""
    bounds: tuple[float, float] = (-math.inf, math.inf)

    @property
    def name(self) -> str:
        """The id without the convention: what the same measure of every convention is called."""
        return self.id.partition("[")[0]

    @property
    def caption(self) -> str:
        """The title with the unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def sign(self) -> float:
        """Values times this are the better the higher they are."""
        return 1.0 if self.higher_is_better else -1.0


def measures_of(conventions: str | Iterable[str]) -> tuple[Measure, ...]:
    """Return the measures of a benchmark with these conventions; the first one ranks.

    >>> [measure.id for measure in measures_of(["dudonet2019"])]
    ['psnr[dudonet2019]', 'ssim[dudonet2019]', 'rmse_hu']

    Raises
    ------
    MetricError
        A convention is unknown.
    """
    return _measures(known_conventions(conventions))


def measure(id: str) -> Measure:
    """Return a measure by its id.

    Raises
    ------
    MetricError
        There is no such measure; the message names the nearest.
    """
    known = {each.id: each for each in measures_of(CONVENTIONS)}
    if id not in known:
        raise MetricError(f"There is no measure {id!r}; {nearest(id, known)}")
    return known[id]


def stored_measures(columns: Iterable[str], first: Iterable[str] = ()) -> tuple[Measure, ...]:
    """Return the measures whose numbers a table holds, those of conventions that are not known here included.

    A convention counts if all of its measures are there. Unknown ones can be shown, and not computed.

    Parameters
    ----------
    columns : iterable of str
        The names of the table's columns.
    first : iterable of str
        Conventions that come first, in this order; the others follow by name.

    Examples
    --------
    >>> columns = ["method", "rmse_hu", "psnr[ours]", "ssim[ours]", "psnr[half]"]
    >>> [measure.id for measure in stored_measures(columns)]
    ['psnr[ours]', 'ssim[ours]', 'rmse_hu']
    """
    held = set(columns)
    named = {match[1] for column in held if (match := re.fullmatch(r"\w+\[(.+)\]", column))}
    order = [*(name for name in first if name in named), *sorted(named - set(first))]
    whole = [name for name in order if {each.id for each in _of_convention(name)} <= held]
    return tuple(each for each in _measures(whole) if each.id in held)


def _measures(conventions: Iterable[str]) -> tuple[Measure, ...]:
    return (*(each for name in conventions for each in _of_convention(name)), _RMSE)


def _of_convention(name: str) -> tuple[Measure, ...]:
    if name in _CLINICAL:
        return tuple(_clinical(each, name) for each in _CLINICAL[name])
    truth: frozenset[Need] = frozenset({"truth"})
    published = PUBLISHED.get(name)
    psnr, ssim = (
        (published.psnr, published.ssim)
        if published
        else (partial(_psnr, convention=name), partial(_ssim, convention=name))
    )
    both = (
        Measure(f"psnr[{name}]", "PSNR", "dB", 2, True, truth, psnr, name, bounds=(-100, 100)),
        Measure(f"ssim[{name}]", "SSIM", "", 4, True, truth, ssim, name, bounds=(-1, 1)),
    )
    return both[1:] if published and not published.has_psnr else both


def _clinical(one: Clinical, convention: str) -> Measure:
    low, high = one.bounds
    return Measure(
        f"{one.name}[{convention}]",
        one.title,
        one.unit,
        one.digits,
        one.higher_is_better,
        needs=one.needs,
        compute=partial(_where_there_is_a_place, compute=one.compute),
        convention=convention,
        # What is no part of a whole has no bound but that of numbers: a method may diverge.
        bounds=(low, high if high <= 1 else LARGEST),
    )


def _where_there_is_a_place(image: ScoredImage, compute: Callable[[ScoredImage], float]) -> float:
    try:
        return compute(image)
    except AbsentRegion:
        return math.nan


def _psnr(image: ScoredImage, convention: str) -> float:
    return _counted(image, convention).psnr(_range(image, convention))


def _ssim(image: ScoredImage, convention: str) -> float:
    return _counted(image, convention).ssim(_range(image, convention))


def _counted(image: ScoredImage, convention: str) -> ScoredImage:
    (name,) = known_conventions(convention)
    return image.of_the_body if CONVENTIONS[name].body else image


def _rmse(image: ScoredImage) -> float:
    return image.rmse


def _range(image: ScoredImage, convention: str) -> Range:
    (name,) = known_conventions(convention)
    hu_range = CONVENTIONS[name].window or image.reference.window
    if hu_range is None:
        raise MetricError(f"{name} takes the display window of the slice, which is not known of this case.")
    return hu_range


_RMSE = Measure(
    "rmse_hu",
    "RMSE",
    "HU",
    1,
    higher_is_better=False,
    needs=frozenset({"truth"}),
    compute=_rmse,
    definition="Root-mean-square error in HU over all pixels without metal. Nothing is clipped.",
    bounds=(0, LARGEST),
)
