"""What validates a training stays the same from its first step to its last."""

from pathlib import Path

import torch
from torch import nn

from marbench.cases.case import Scan
from marbench.learning.curves import LearningCurves
from marbench.learning.judge import Judge
from marbench.learning.validation import Validation
from marbench.method.learned import LearnedMethod
from marbench.spec import Spec


def test_a_method_that_works_in_place_spoils_no_later_validation(spec: Spec) -> None:
    validation = Validation(spec, 3)

    def plain(scan: Scan) -> torch.Tensor:
        return scan.image

    def vandal(scan: Scan) -> torch.Tensor:
        for tensor in (scan.sinogram, scan.image, scan.metal_mask, scan.metal_trace):
            tensor.zero_()
        return scan.image

    before = validation.score(plain, torch.device("cpu"))
    assert validation.score(vandal, torch.device("cpu")) != before
    assert validation.score(plain, torch.device("cpu")) == before


class Shift(LearnedMethod):
    """Adds its one weight, HU."""

    def __init__(self) -> None:
        self.network = nn.Linear(1, 1)

    def networks(self) -> dict[str, nn.Module]:
        return {"shift": self.network}

    def reduce(self, scan: Scan) -> torch.Tensor:
        return scan.image + self.network.weight.detach()[0, 0]


def test_a_training_that_changes_no_image_is_told(spec: Spec, tmp_path: Path) -> None:
    """As where all ReLUs of a layer are silent: the loss goes up and down with the cases, and hides it."""
    method = Shift()
    judge = Judge(method, spec, 2, torch.device("cpu"), tmp_path, LearningCurves(tmp_path), print)
    told = []
    for step, change in enumerate((0.0, 1e-3, 0.0, 0.0)):
        with torch.no_grad():
            method.network.weight += change
        told.append(judge.keep(judge.scores(), {"step": step, "samples": step, "hours": 0.0}))
    assert ["no longer depend on the weights" in each for each in told] == [False, False, True, True]
