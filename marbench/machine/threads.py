"""How many threads this process computes with: torch's own, and those of the BLAS of NumPy and SciPy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from threadpoolctl import ThreadpoolController

__all__ = ["set_threads", "threads"]


def set_threads(count: int) -> None:
    """Compute with as many threads, for good."""
    torch.set_num_threads(count)
    _pools().limit(limits=count, user_api="blas")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with as many threads; afterwards with as many as before."""
    before = torch.get_num_threads()
    # A product of vectors that two threads share has other last bits; and of two processes with two threads each on
    # two cores, everyone waits for a thread that has no core: 50 ms where the product takes one.
    with _pools().limit(limits=count, user_api="blas"):
        if count != before:
            torch.set_num_threads(count)
        try:
            yield
        finally:
            if count != before:
                torch.set_num_threads(before)


@lru_cache(maxsize=1)
def _pools() -> ThreadpoolController:
    # Looks through the libraries of the process, which takes some ms; BLAS is loaded with NumPy and torch.
    return ThreadpoolController()
