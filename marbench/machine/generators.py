"""The random number generators of this process: whichever a plugin draws from, its numbers can be repeated."""

from __future__ import annotations

import random

import numpy as np
import torch

__all__ = ["seed_generators"]


def seed_generators(seed: int) -> None:
    """Seed the generators of torch, on every device, of NumPy and of Python."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (plugins use the legacy generator)
    torch.manual_seed(seed)
