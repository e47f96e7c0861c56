"""What validates a training stays the same from its first step to its last."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from marbench.cases.case import Scan
from marbench.learning.curves import LearningCurves
from marbench.learning.judge import Judge
from marbench.learning.validation import Validation, validation_key
from marbench.method.images import InvalidImage
from marbench.method.learned import LearnedMethod
from marbench.spec import Spec
from marbench.spec_sections import Counts


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
    """Adds its one weight, HU, and what it draws."""

    def __init__(self) -> None:
        self.network = nn.Linear(1, 1)

    def networks(self) -> dict[str, nn.Module]:
        return {"shift": self.network}

    def reduce(self, scan: Scan) -> torch.Tensor:
        return scan.image + self.network.weight.detach()[0, 0] + torch.rand(()) + np.random.rand()  # noqa: NPY002


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


def test_other_patients_are_other_validation_cases(spec: Spec) -> None:
    more = spec.model_copy(update={"split": spec.split.model_copy(update={"val": Counts(patients=3, slices=3)})})
    assert validation_key(spec, 4) == validation_key(spec, 4)
    assert len({validation_key(spec, 4), validation_key(spec, 5), validation_key(more, 4)}) == 3


def test_without_validation_cases_it_is_told_whose_weights_come_out(spec: Spec, tmp_path: Path) -> None:
    none = spec.model_copy(update={"split": spec.split.model_copy(update={"val": Counts(patients=0, slices=0)})})
    lines: list[str] = []
    judge = Judge(Shift(), none, 2, torch.device("cpu"), tmp_path, LearningCurves(tmp_path), lines.append)
    assert len(judge) == 0 and lines == ["no validation cases: the last weights are kept"]


def test_a_mean_is_of_the_cases_that_have_the_measure(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = iter([{"psnr": 20.0, "spot": math.nan, "gap": math.nan}, {"psnr": 30.0, "spot": 4.0, "gap": math.nan}])
    validation = Validation(spec, 2)
    monkeypatch.setattr("marbench.learning.validation.score_image", lambda *_: next(rows))
    scores = validation.score(lambda scan: scan.image, torch.device("cpu"))
    assert (scores["psnr"], scores["spot"]) == (25.0, 4.0) and math.isnan(scores["gap"])


def test_weights_without_a_score_are_not_the_best(spec: Spec, tmp_path: Path) -> None:
    judge = Judge(Shift(), spec, 1, torch.device("cpu"), tmp_path, LearningCurves(tmp_path), print)
    scores = judge.scores()
    lost = dict.fromkeys(scores, math.nan)
    for step, (each, best) in enumerate([(lost, False), (scores, True), (lost, False)]):
        told = judge.keep(each, {"step": step, "samples": step, "hours": 0.0})
        assert ("the best so far" in told) is best


def test_what_is_no_image_is_told_in_a_training_as_in_a_run(spec: Spec) -> None:
    validation = Validation(spec, 1)
    arrays = validation.score(lambda scan: scan.image.numpy(), torch.device("cpu"))  # type: ignore[arg-type,return-value]
    assert arrays == validation.score(lambda scan: scan.image, torch.device("cpu"))
    with pytest.raises(InvalidImage, match="expected a floating tensor or array of shape"):
        validation.score(lambda scan: scan.image[0], torch.device("cpu"))


def test_curves_of_a_disk_that_was_full_go_on(tmp_path: Path) -> None:
    (tmp_path / "losses.csv").touch()
    curves = LearningCurves(tmp_path)
    curves.rewind(0)
    assert curves.read("losses").empty
    curves.add("losses", {"step": 1, "loss": 0.5})
    curves.add("losses", {"step": 2, "loss": 0.4})
    assert curves.read("losses")["loss"].tolist() == [0.5, 0.4]
