"""What code of a method meets in a process, whatever a user has switched: where tensors are made, and no arguments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import Generic, TypeVar

import torch

__all__ = ["default_device", "standard_process"]

_CPU = torch.device("cpu")


def default_device() -> torch.device:
    """Return where tensors are made that name no device."""
    # By a tensor: what `torch.get_default_device` says depends on the version, and fails in 2.6 where None was set.
    return torch.empty(0).device


@contextmanager
def standard_process() -> Iterator[None]:
    """Make float32 on the CPU the default, as in a new process without arguments; afterwards all is as before.

    A plugin may parse ``sys.argv``: the command line is marbench's own, and would change what the method computes.
    Where all is so already nothing is switched, and what the code within switches stays: a plugin in a process of its
    own may do so while it loads.
    """
    device = default_device()
    with _ARGUMENTS, _FLOAT32, nullcontext() if device == _CPU else _CPU:
        yield


T = TypeVar("T")


class _Switch(Generic[T]):
    """A switch of the whole process: the first thread that needs the standard sets it, the last one out gives back."""

    def __init__(self, standard: T, read: Callable[[], T], write: Callable[[T], None]) -> None:
        self._standard, self._read, self._write = standard, read, write
        self._lock = Lock()
        self._within = 0
        self._before = standard

    def __enter__(self) -> None:
        with self._lock:
            now = self._read()
            if not self._within or now != self._standard:
                self._before = now
                self._write(self._standard)
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within and self._before != self._standard:
                self._write(self._before)


def _set_arguments(words: tuple[str, ...]) -> None:
    sys.argv = list(words)


_FLOAT32 = _Switch(torch.float32, torch.get_default_dtype, torch.set_default_dtype)
_ARGUMENTS: _Switch[tuple[str, ...]] = _Switch(("",), lambda: tuple(sys.argv), _set_arguments)
