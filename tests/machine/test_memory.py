import sys

import numpy as np
import pytest
import torch

from marbench.machine.memory import PeakMemory


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of resident memory can be reset on Linux only")
def test_peak_memory_is_that_of_the_call(tmp_path):
    memory = PeakMemory(torch.device("cpu"))
    if np.isnan(memory.megabytes()):
        pytest.skip("this kernel does not let a process reset its peak memory")
    large = np.ones(25_000_000)
    large_sum = large.sum()
    del large
    assert large_sum == 25_000_000
    assert 180 < memory.megabytes() < 260
    assert PeakMemory(torch.device("cpu")).megabytes() < 20
