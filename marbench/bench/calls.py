"""One call of one method in this process, guarded: whatever the plugin raises becomes an outcome."""

from __future__ import annotations

import hashlib
import random
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from marbench.bench.outcome import Outcome, describe
from marbench.cases.case import Scan
from marbench.machine.defaults import default_device
from marbench.machine.generators import seed_generators
from marbench.machine.interrupts import Interrupted, Overdue
from marbench.machine.memory import PeakMemory
from marbench.method.contract import Method
from marbench.method.images import check_image, check_unit

__all__ = ["call_method", "own_state", "seed_of"]


def seed_of(label: str, case_id: str) -> int:
    """Return the seed of a call: of the method's name and the case, not of its code, which a comment would change.

    Of no case, ``""``, it is the seed of loading the method.
    """
    return int.from_bytes(hashlib.sha256(f"{label}\0{case_id}".encode()).digest()[:4], "big")


def call_method(
    method: Method, scan: Scan, device: torch.device, seed: int = 0, home: Path | None = None, alone: bool = False
) -> Outcome:
    """Call ``method.reduce`` on a scan of one case and measure it.

    Parameters
    ----------
    scan : Scan
        The method gets a copy on the device, and may do with it what it likes.
    seed : int
        Random numbers start from it, so that results do not depend on what ran before.
    home : Path, optional
        The plugin's folder: error messages quote its last line that took part.
    alone : bool
        Whether the method has this process for itself, so that the programs that it runs are the method's.
    """
    # Of the scan as it is here: the copy that the method gets is its own, to reshape as it likes.
    shape = tuple(scan.image.shape)
    start = time.perf_counter()
    try:
        # A device that has no memory left fails here, and it is the method's row that says so.
        own = scan.copy_to(device)
        memory = PeakMemory(device, alone)
        with own_state(seed), torch.no_grad():
            _synchronize(device)
            start = time.perf_counter()
            result = method.reduce(own)
            _synchronize(device)
            # What a result puts off until somebody reads it is work of the method, too.
            image = check_image(result, shape)[0]
            seconds = time.perf_counter() - start
        peak = memory.megabytes()
        return Outcome(check_unit(image), None, seconds, peak)
    except (Interrupted, Overdue):
        raise
    except BaseException as error:  # SystemExit and the like included: a plugin ends its call, never the run
        return Outcome(None, describe(error, home), time.perf_counter() - start)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def own_state(seed: int) -> Iterator[None]:
    """Seed all generators, and give back afterwards what code of a method easily leaves changed in its process.

    Plugins of others run in processes of their own: nothing that they switch reaches another method.
    """
    switches = [(read, write, read()) for read, write in _SWITCHES]
    # Compared, not copied back: a change of the filters makes Python repeat what it warned of once.
    filters = list(warnings.filters)
    generators = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 (as in `seed_generators`)
    on_gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    seed_generators(seed)
    try:
        yield
    finally:
        for read, write, value in switches:
            if read() != value:
                write(value)
        if warnings.filters != filters:
            warnings.resetwarnings()
            warnings.filters[:] = filters  # type: ignore[index]
        random.setstate(generators[0])
        np.random.set_state(generators[1])  # noqa: NPY002
        torch.set_rng_state(generators[2])
        if on_gpu:
            torch.cuda.set_rng_state_all(on_gpu)


def _determinism() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_determinism(told: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(told[0], warn_only=told[1])


def _matmul_precision() -> str | None:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # somebody has set it by one of torch's newer switches, which this one does not tell
        return None


def _set_matmul_precision(told: str | None) -> None:
    if told is not None:
        torch.set_float32_matmul_precision(told)


def _set_errors(told: dict[str, Any]) -> None:
    np.seterr(**told)


# How each is read, and set to what was read.
_SWITCHES: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_num_threads, torch.set_num_threads),
    (default_device, torch.set_default_device),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (_determinism, _set_determinism),
    (_matmul_precision, _set_matmul_precision),
    (np.geterr, _set_errors),
)
