"""How good a network is on the way: validation scores, their curves, and the best weights so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from marbench.errors import MethodError
from marbench.learning.checkpoints import load_checkpoint, save_checkpoint
from marbench.learning.curves import LearningCurves
from marbench.learning.validation import Validation
from marbench.machine.generators import seed_generators
from marbench.method.images import InvalidImage
from marbench.method.learned import LearnedMethod
from marbench.method.weights import WeightsFile, assign_weights, read_weights
from marbench.metrics.measure import measures_of
from marbench.spec import Spec

__all__ = ["Judge"]


class Judge:
    """Scores a method on the validation cases, and keeps the weights that were best in the folder of the run.

    Parameters
    ----------
    method : LearnedMethod
    spec : Spec
    cases : int
        At most how many validation cases.
    device : torch.device
    out : Path
    curves : LearningCurves
    note : callable
        Hears of damaged files, and where there are no cases.
    """

    def __init__(
        self,
        method: LearnedMethod,
        spec: Spec,
        cases: int,
        device: torch.device,
        out: Path,
        curves: LearningCurves,
        note: Callable[[str], None],
    ) -> None:
        self._method, self._device, self._out, self._curves, self._note = method, device, out, curves, note
        self._validation = Validation(spec, cases)
        if not len(self._validation):
            note("no validation cases: the last weights are kept")
        self._measures = measures_of(spec.metrics.conventions)
        best = load_checkpoint(out / "best", note)
        self._best = self._goodness(best["scores"]) if best else float("-inf")
        self._latest: Mapping[str, float] = {}

    def __len__(self) -> int:
        return len(self._validation)

    @property
    def baseline(self) -> Mapping[str, float]:
        """The scores of linear interpolation."""
        return self._validation.baseline

    def scores(self) -> dict[str, float]:
        """Return the mean of every measure, and draw some of the images into ``validation.png``."""
        return self._scores(self._out / "validation.png")

    def scores_of(self, file: WeightsFile) -> dict[str, float]:
        """Return the scores of other weights, which the networks then hold; none where these have become others."""
        try:
            assign_weights(self._method.networks(), read_weights(file), file.card.label)
            return self._scores(None)
        except (MethodError, InvalidImage):
            return {}

    def keep(self, scores: Mapping[str, float], position: Mapping[str, float]) -> str:
        """Add scores to the curves, keep the weights where they are the best so far; return what to tell."""
        self._curves.add("validation", {**position, **scores})
        convention = self._measures[0].convention
        drawn = [measure for measure in self._measures if measure.convention in (convention, "")]
        self._curves.plot(drawn, self.baseline)
        # To the last bit: then no step since has changed an image, as where every ReLU of a layer is silent.
        is_stuck, self._latest = scores == self._latest, dict(scores)
        if is_stuck:
            return f"{self.told(scores)}; to the last bit as before: the images no longer depend on the weights"
        if not self._goodness(scores) > self._best:  # nor where it is NaN
            return self.told(scores)
        self._best = self._goodness(scores)
        modules = {name: network.state_dict() for name, network in self._method.networks().items()}
        step = int(position["step"])
        save_checkpoint(self._out / "best", step, {"step": step, "scores": dict(scores), "modules": modules})
        return f"{self.told(scores)}, the best so far"

    def bring_back_the_best(self) -> int | None:
        """Give the networks the best weights, and return the step that they are of; None where none were kept."""
        best = load_checkpoint(self._out / "best", self._note)
        if best is None:
            return None
        for name, network in self._method.networks().items():
            network.load_state_dict(best["modules"][name])
        return int(best["step"])

    def is_worse(self, scores: Mapping[str, float], than: Mapping[str, float]) -> bool:
        """Tell whether scores are worse than others by the measure that ranks; not where either lack it."""
        known = all(self._measures[0].id in each for each in (scores, than))
        return known and self._goodness(scores) < self._goodness(than)

    def told(self, scores: Mapping[str, float]) -> str:
        """Return scores beside those of linear interpolation, in words."""
        return ", ".join(
            f"{each.id} {scores[each.id]:.{each.digits}f} (LI {self.baseline[each.id]:.{each.digits}f})"
            for each in self._measures
            if each.id in scores
        )

    def _scores(self, picture: Path | None) -> dict[str, float]:
        seed_generators(0)  # what a method draws while it corrects is the same whenever it is scored
        return self._validation.score(self._method.reduce, self._device, picture)

    def _goodness(self, scores: Mapping[str, float]) -> float:
        """Return what is to become large: the mean of the measure that ranks, turned round where lower is better."""
        measure = self._measures[0]
        return measure.sign * float(scores[measure.id])
