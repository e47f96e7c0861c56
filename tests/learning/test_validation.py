"""What validates a training stays the same from its first step to its last."""

import torch

from marbench.cases.case import Scan
from marbench.learning.validation import Validation
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
