"""Benchmarks of a few pixels for the learned methods."""

from collections.abc import Iterator

import pytest
import torch
from tiny_scans import write_spec

from marbench import Spec


@pytest.fixture(autouse=True)
def _one_seed_one_thread() -> Iterator[None]:
    # Threads cost more than they bring on a few pixels.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return write_spec(tmp_path_factory.mktemp("spec"), 64, 48, 32)


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    return write_spec(tmp_path_factory.mktemp("spec"), 36, 27, 45)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    """So few pixels that thousands of steps take a second."""
    return write_spec(tmp_path_factory.mktemp("spec"), 32, 24, 20)
