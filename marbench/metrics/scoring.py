"""Scoring the images of a case: all measures at once, so that they share what they have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from marbench.cases.case import Case, Scan, Truth
from marbench.cases.scanner import operators_of
from marbench.metrics.consistency import Measured
from marbench.metrics.fidelity import Mask, Reference, ScoredImage
from marbench.metrics.measure import Measure, Need
from marbench.metrics.regions import regions_of
from marbench.spec import Spec
from marbench.spec_sections import SegmentationSection

__all__ = ["Scorer", "score_image"]


class Scorer:
    """Scores images of one case; what the measures need of its truth alone is computed once.

    Parameters
    ----------
    case : Case
    measures : sequence of Measure
    spec : Spec, optional
        The benchmark of the case, whose geometry measures need that ask about the scan.
    """

    def __init__(self, case: Case, measures: Sequence[Measure], spec: Spec | None = None) -> None:
        truth: Truth | None = case.truth
        # Where no truth tells which pixels hold any metal, those that are mostly metal have to do.
        metal = (case.scan.metal_mask if truth is None else truth.metal)[0].cpu().numpy()
        image = None if truth is None else truth.image[0].cpu().numpy()
        raw = case.scan.image[0].cpu().numpy()
        measured = None if spec is None else _measured(case.scan, spec)
        self._reference = Reference(image, metal, case.info.window, raw, case.info.pixel_mm, measured)
        self._measures = tuple(measures)
        # Whether there is a place for a region, each measure finds out for itself.
        facts: dict[Need, bool] = {"truth": truth is not None, "metal": bool(metal.any()), "region": True}
        facts["scan"] = measured is not None
        self._met = frozenset(need for need, there in facts.items() if there)

    @property
    def regions(self) -> Mapping[str, Mask]:
        """Where the measures look: name of `marbench.metrics.regions.REGIONS` → mask; none where none asks."""
        if any(measure.needs >= {"region", "truth"} for measure in self._measures if measure.needs <= self._met):
            return regions_of(self._reference).masks
        return {}

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


def score_image(
    image: ArrayLike, case: Case, measures: Sequence[Measure], spec: Spec | None = None
) -> dict[str, float]:
    """Return the scores of one image of a case; see `Scorer` and `Scorer.score`."""
    return Scorer(case, measures, spec).score(image)


def _measured(scan: Scan, spec: Spec) -> Measured:
    def project(image: NDArray[np.floating]) -> NDArray[np.floating]:
        return np.asarray(operators_of(spec).project(torch.from_numpy(np.asarray(image, np.float32))))

    trace = scan.metal_trace[0].cpu().numpy()
    if spec.segmentation != SegmentationSection():
        # That of a mask that is wrong on purpose: where an image is held against its rays must not hang on it.
        trace = np.zeros_like(trace)
    return Measured(scan.sinogram[0].cpu().numpy(), trace, project)
