"""Validation: fixed cases of patients and of metals of their own, neither trained on nor tested."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from marbench.cases.case import Case, Scan
from marbench.cases.scanner import operators_of
from marbench.cases.suite import Suite
from marbench.method.images import Image, InvalidImage, check_image
from marbench.metrics.measure import measures_of
from marbench.metrics.scoring import score_image
from marbench.spec import Spec
from marbench.toolbox.interpolation import linear_interpolation

__all__ = ["Validation", "validation_key"]

_SHOWN = 4
_WINDOW = (-400.0, 600.0)


def validation_key(spec: Spec, cases: int) -> str:
    """Return a digest of which cases `Validation` takes, 16 hex digits: with more files they may be others."""
    suite = Suite(spec, split="val")
    ids = [suite.case_keys[index].case_id for index in _chosen(suite, cases)]
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]


class Validation:
    """Scores a method on a fixed, evenly spread part of the validation split.

    Parameters
    ----------
    spec : Spec
    cases : int
        At most how many.
    """

    def __init__(self, spec: Spec, cases: int) -> None:
        suite = Suite(spec, split="val")
        self._measures = measures_of(spec.metrics.conventions)
        self._cases: list[Case] = [suite[index] for index in _chosen(suite, cases)]
        self._spec, self._operators = spec, operators_of(spec)
        self._baseline_images = self._images(self._interpolate, torch.device("cpu"))
        self.baseline = self._scores(self._baseline_images)

    def __len__(self) -> int:
        return len(self._cases)

    def score(
        self, reduce: Callable[[Scan], torch.Tensor], device: torch.device, picture: Path | None = None
    ) -> dict[str, float]:
        """Return the mean of every measure over the cases that have it, and write a picture of some cases.

        Raises
        ------
        InvalidImage
            The method returns no finite images in HU of the shape of the scan's; the message names the case.
        """
        images = self._images(reduce, device)
        if picture is not None and images:
            self._draw(images, picture)
        return self._scores(images)

    def _images(self, reduce: Callable[[Scan], torch.Tensor], device: torch.device) -> list[Image]:
        images = []
        for case in self._cases:
            try:
                with torch.no_grad():
                    # A copy: what a method does to a scan would stay done for the rest of the training.
                    result = reduce(case.scan.copy_to(device))
                images.append(check_image(result, tuple(case.scan.image.shape))[0])
            except InvalidImage as error:
                raise InvalidImage(f"validation case {case.id}: {error}") from None
        return images

    def _interpolate(self, scan: Scan) -> torch.Tensor:
        return self._operators.reconstruct(linear_interpolation(scan.sinogram, scan.metal_trace))

    def _scores(self, images: Sequence[Image]) -> dict[str, float]:
        pairs = zip(images, self._cases, strict=True)
        rows = [score_image(image, case, self._measures, self._spec) for image, case in pairs]
        return {name: _mean([row[name] for row in rows]) for name in rows[0]} if rows else {}

    def _draw(self, images: Sequence[Image], path: Path) -> None:
        """Write one picture, a row per case."""
        from matplotlib.figure import Figure

        shown = np.linspace(0, len(self._cases) - 1, min(_SHOWN, len(self._cases))).round().astype(int)
        mosaic = np.vstack([np.hstack(self._row(int(index), images[index])) for index in shown])
        width = 10.0
        figure = Figure(figsize=(width, width * mosaic.shape[0] / mosaic.shape[1] + 0.3))
        axes = figure.add_axes((0, 0, 1, 1 - 0.3 / figure.get_figheight()))
        axes.imshow(mosaic, cmap="gray", vmin=_WINDOW[0], vmax=_WINDOW[1])
        axes.set_axis_off()
        figure.suptitle("uncorrected  |  linear interpolation  |  this method  |  truth", fontsize=9, y=0.995)
        figure.savefig(path, dpi=90)

    def _row(self, index: int, image: Image) -> list[Image]:
        case = self._cases[index]
        return [case.scan.image[0].numpy(), self._baseline_images[index], image, case.known_truth.image[0].numpy()]


def _chosen(suite: Suite, cases: int) -> list[int]:
    # Sorted, so that cases that share a slice follow each other; drawn, so that all metals are among them.
    drawn: list[int] = np.random.default_rng(0).permutation(len(suite))[:cases].tolist()
    return sorted(drawn)


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the numbers; NaN where there is none, as of a region that no case has."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
