"""What is said where CUDA is asked for and absent, too old, or out of memory. No GPU is needed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from marbench.ct import backend_for
from marbench.ct.backends import obstacles
from marbench.ct.batches import SmallerBatches
from marbench.ct.linear import LinearMap
from marbench.errors import MarbenchError
from marbench.geometry import FanBeam, ImageGrid

FAN, GRID = FanBeam(8, 7, 10.0, 0.1), ImageGrid(6, 6, 0.6)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_absent_device_is_said_with_what_to_do() -> None:
    with pytest.raises(MarbenchError, match=r"Expected the device cuda\. torch .* install torch with CUDA"):
        backend_for("project", FAN, GRID, "cuda")


@pytest.fixture
def old_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "device_count": 1,
        "get_device_capability": (7, 0),
        "get_device_name": "Tesla V100",
        "get_arch_list": ["sm_70", "sm_90", "compute_90"],
    }
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)


def test_gpu_that_triton_does_not_know_is_served_by_stored_weights(old_gpu: None) -> None:
    pytest.importorskip("triton", reason="without triton the reason is another one")
    choice = backend_for("invert", FAN, GRID, "cuda")
    assert choice.name == "sparse"
    # The GPU is too old, or the Triton of an old PyTorch.
    said = ("compute capability 7.0; Triton needs 8.0", "is older than 3.6")
    assert any(each in choice.reason for each in said)


def test_gpu_that_torch_does_not_know_is_refused(old_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_120"])
    with pytest.raises(MarbenchError, match=r"Tesla V100 .* is too old for torch .* built for 7\.5 and newer"):
        backend_for("invert", FAN, GRID, "cuda")


def test_every_backend_says_whether_it_can_serve() -> None:
    why_not = obstacles("invert", FAN, ImageGrid(4000, 4001, 0.0001))
    assert set(why_not) == {"reference", "sparse", "torch_radon", "triton"}
    assert why_not["reference"] is None
    assert why_not["sparse"] == "a matrix would take 1.0 GB, more than 1 GB"


class Doubling(LinearMap):
    """Has memory for so many items at a time."""

    domain_shape = range_shape = (2, 2)

    def __init__(self, room: int) -> None:
        self.room, self.sizes = room, []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return 2 * x

    def adjoint(self, y: Tensor) -> Tensor:
        return self.forward(y)


def test_batch_that_does_not_fit_is_halved_until_it_does() -> None:
    base = Doubling(room=2)
    x = torch.rand(7, 2, 2)
    assert torch.equal(SmallerBatches(base).forward(x), 2 * x)
    assert base.sizes == [7, 4, 2, 2, 2, 1]
    assert torch.equal(SmallerBatches(base).adjoint(x), 2 * x)


def test_single_image_that_does_not_fit_stays_an_out_of_memory_error() -> None:
    with pytest.raises(torch.OutOfMemoryError) as raised:
        SmallerBatches(Doubling(room=0)).forward(torch.rand(3, 2, 2))
    assert "Even one item, (2, 2) → (2, 2)" in raised.value.__notes__[0]


# Once chosen, a switch stays: each is tried in a copy of the process.
PROGRAM = """
import os
import torch
from marbench.ct.ops import _full_precision

matmul = torch.backends.cuda.matmul


def look(switch):
    if switch == "old":
        torch.set_float32_matmul_precision("high")
    elif switch == "new":
        matmul.fp32_precision = "tf32"
    before = matmul.fp32_precision
    with _full_precision(torch.device("cuda")):
        assert matmul.fp32_precision == "ieee"
        assert not matmul.allow_tf32  # what cuBLAS asks; an error where the two switches differ
    assert matmul.fp32_precision == before
    if switch != "new":
        assert matmul.allow_tf32 == (switch == "old")


for switch in ("none", "old", "new"):
    if not os.fork():
        look(switch)
        os._exit(0)
    assert os.wait()[1] == 0, switch
"""


@pytest.mark.skipif(not hasattr(torch.backends.mkldnn, "matmul"), reason="before PyTorch 2.9 there is one switch")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are copied")
def test_full_precision_inside_whichever_switch_of_tf32_was_used() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
