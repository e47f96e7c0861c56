"""What all tests share. The environment is set before torch is imported anywhere."""

import os
from pathlib import Path

import pytest

# Spinning OpenMP threads cost 3–5× on shared cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

# Without a GPU, kernels run in Triton's interpreter, which has to be said before triton is imported. That the kernels
# compile is tested in a process of its own.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

_REAL_CT = Path(__file__).resolve().parents[2] / "shared" / "data" / "ct"


@pytest.fixture(scope="session")
def real_ct() -> Path:
    """Folder of real CT slices (``abdomen``, ``head``), kept beside the checkout; the test skips where it is absent."""
    if not _REAL_CT.is_dir():
        pytest.skip(f"no real CT slices at {_REAL_CT}")
    return _REAL_CT
