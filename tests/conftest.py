"""What all tests share. The environment is set before torch is imported anywhere."""

import os
from pathlib import Path

import pytest

# Spinning OpenMP threads cost 3–5× on shared cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_REAL_CT = Path(__file__).resolve().parents[2] / "shared" / "data" / "ct"


@pytest.fixture(scope="session")
def real_ct() -> Path:
    """Folder of real CT slices (``abdomen``, ``head``), kept beside the checkout; the test skips where it is absent."""
    if not _REAL_CT.is_dir():
        pytest.skip(f"no real CT slices at {_REAL_CT}")
    return _REAL_CT
