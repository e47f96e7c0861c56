"""Scoring the images of a case: all measures at once, so that they share what they have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence

from numpy.typing import ArrayLike

from marbench.cases.case import Case, Truth
from marbench.metrics.fidelity import Reference, ScoredImage
from marbench.metrics.measure import Measure, Need

__all__ = ["Scorer", "score_image"]


class Scorer:
    """Scores images of one case; what the measures need of its truth alone is computed once.

    Parameters
    ----------
    case : Case
    measures : sequence of Measure
    """

    def __init__(self, case: Case, measures: Sequence[Measure]) -> None:
        truth: Truth | None = case.truth
        # Where no truth tells which pixels hold any metal, those that are mostly metal have to do.
        metal = (case.scan.metal_mask if truth is None else truth.metal)[0].cpu().numpy()
        image = None if truth is None else truth.image[0].cpu().numpy()
        raw = case.scan.image[0].cpu().numpy()
        self._reference = Reference(image, metal, case.info.window, raw, case.info.pixel_mm)
        self._measures = tuple(measures)
        # Whether there is a place for a region, each measure finds out for itself.
        facts: dict[Need, bool] = {"truth": truth is not None, "metal": bool(metal.any()), "region": True}
        self._met = frozenset(need for need, there in facts.items() if there)

    def score(self, image: ArrayLike) -> dict[str, float]:
        """Return measure id → number; NaN of a measure that needs what the case has not.

        Parameters
        ----------
        image : real array ``(rows, columns)``
            HU.

        Raises
        ------
        MetricError
            The image has another shape, is no real numbers, or is not finite.
        """
        scored = ScoredImage(image, self._reference)
        return {
            measure.id: measure.compute(scored) if measure.needs <= self._met else math.nan
            for measure in self._measures
        }


def score_image(image: ArrayLike, case: Case, measures: Sequence[Measure]) -> dict[str, float]:
    """Return the scores of one image of a case; see `Scorer.score`."""
    return Scorer(case, measures).score(image)
