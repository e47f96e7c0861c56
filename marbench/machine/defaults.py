"""Which tensors torch makes where code names no dtype and no device: switches of the process, which users set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock

import torch

__all__ = ["default_device", "standard_tensors"]

_CPU = torch.device("cpu")


def default_device() -> torch.device:
    """Return where tensors are made that name no device."""
    # By a tensor: what `torch.get_default_device` says depends on the version, and fails in 2.6 where None was set.
    return torch.empty(0).device


@contextmanager
def standard_tensors() -> Iterator[None]:
    """Make float32 on the CPU the default, as it is in a new process; afterwards what was before.

    Where it is the default already nothing is switched, and what the code within switches stays: a plugin in a process
    of its own may do so while it loads.
    """
    device = default_device()
    _FLOAT32.enter()
    try:
        with nullcontext() if device == _CPU else _CPU:
            yield
    finally:
        _FLOAT32.leave()


class _Float32:
    """The default of the whole process: the first thread that needs it switches, the last one out gives back."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._within = 0
        self._before = torch.float32

    def enter(self) -> None:
        with self._lock:
            now = torch.get_default_dtype()
            if not self._within or now != torch.float32:
                self._before = now
                torch.set_default_dtype(torch.float32)
            self._within += 1

    def leave(self) -> None:
        with self._lock:
            self._within -= 1
            if not self._within and self._before != torch.float32:
                torch.set_default_dtype(self._before)


_FLOAT32 = _Float32()
