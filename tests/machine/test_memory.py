import subprocess
import sys

import numpy as np
import pytest
import torch

from marbench.machine.memory import PeakMemory


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of the memory of programs")
def test_the_peak_of_a_program_is_told_where_it_can_be_and_never_that_of_its_caller():
    alone, among_others = (PeakMemory(torch.device("cpu"), is_alone) for is_alone in (True, False))
    size = int(PeakMemory._most) + 100_000_000
    for needed in (0, size):
        subprocess.run([sys.executable, "-S", "-c", f"x = b'1' * {needed}"], check=True)
        peak = alone.megabytes()
        assert peak >= size / 1e6 if needed else np.isnan(peak) or peak > PeakMemory._most / 1e6
    assert np.isnan(among_others.megabytes())


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
