"""Which tensors torch makes where code names no dtype and no device: switches of the process, which users set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["standard_tensors"]


@contextmanager
def standard_tensors() -> Iterator[None]:
    """Make float32 on the CPU the default, as it is in a new process; afterwards what was before.

    Where it is the default already nothing is switched, and what the code within switches stays: a plugin in a process
    of its own may do so while it loads.
    """
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    if (dtype, device) == (torch.float32, torch.device("cpu")):
        yield
        return
    torch.set_default_dtype(torch.float32)
    torch.set_default_device("cpu")
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_default_device(None)
        # Another device than now was set for good; that of a `with torch.device(…)` around has come back by itself.
        if torch.get_default_device() != device:
            torch.set_default_device(device)
