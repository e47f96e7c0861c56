"""One call of one method, guarded: whatever the plugin does becomes an outcome."""

from __future__ import annotations

import random
import re
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from marbench.cases.case import Scan
from marbench.errors import MarbenchError
from marbench.machine.interrupts import CallTimeout, Interrupted, time_limit
from marbench.machine.memory import PeakMemory
from marbench.method.contract import Method
from marbench.results.rows import Status

__all__ = ["Failure", "InvalidImage", "Outcome", "call_method", "check_image", "describe"]

MESSAGE_LIMIT, TRACE_LIMIT = 2_000, 20_000

Image = NDArray[np.float32]


class InvalidImage(MarbenchError):
    """A method returned something that is no image of the case."""


@dataclass(frozen=True)
class Failure:
    """Why there is no result: a status, the class of the exception, what it says and where, and its traceback."""

    status: Status
    error_kind: str
    message: str
    trace: str = ""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a call: the image in HU ``(rows, columns)``, or a failure."""

    image: Image | None = None
    failure: Failure | None = None
    seconds: float = float("nan")
    peak_mb: float = float("nan")


def call_method(
    method: Method,
    scan: Scan,
    device: torch.device,
    seed: int = 0,
    limit: float | None = None,
    home: Path | None = None,
) -> Outcome:
    """Call ``method.reduce`` on a scan of one case and measure it.

    Parameters
    ----------
    scan : Scan
        The method gets a copy on the device, and may do with it what it likes.
    seed : int
        Random numbers start from it, so that results do not depend on what ran before.
    limit : float, optional
        Seconds that the call may take.
    home : Path, optional
        The plugin's folder: error messages quote its last line that took part.
    """
    own = _copy(scan, device)
    shape = tuple(scan.image.shape)
    memory = PeakMemory(device)
    _synchronize(device)
    start = time.perf_counter()
    try:
        with _restored_state(seed), time_limit(limit):
            start = time.perf_counter()
            result = method.reduce(own)
            _synchronize(device)
        seconds = time.perf_counter() - start
        if limit is not None and seconds > limit:
            raise CallTimeout
        peak = memory.megabytes()
        return Outcome(check_image(result, shape)[0], None, seconds, peak)
    except CallTimeout:
        failure = Failure("timeout", "CallTimeout", f"reduce took longer than {limit:g} s")
    except Interrupted:
        raise
    except BaseException as error:  # SystemExit and the like included: a plugin ends its call, never the run
        failure = describe(error, home)
    return Outcome(None, failure, time.perf_counter() - start)


def check_image(result: Any, shape: tuple[int, ...]) -> Image:
    """Return a method's result as a float32 array, or raise `InvalidImage`: what was expected, and what came."""
    expected = f"expected a floating tensor or array of shape {shape}, all finite, in HU"
    if isinstance(result, np.ndarray) and result.dtype.kind == "f":
        result = torch.from_numpy(np.ascontiguousarray(result, dtype=result.dtype.newbyteorder("=")))
    if not isinstance(result, torch.Tensor):
        kind = f"an array of {result.dtype}" if isinstance(result, np.ndarray) else f"{type(result).__name__}"
        raise InvalidImage(f"{expected}; got {kind}")
    if not result.is_floating_point():
        raise InvalidImage(f"{expected}; got {result.dtype}")
    if tuple(result.shape) != shape:
        raise InvalidImage(f"{expected}; got shape {tuple(result.shape)}")
    image: Image = result.detach().to("cpu", torch.float32).numpy()
    broken = image.size - int(np.count_nonzero(np.isfinite(image)))
    if broken:
        raise InvalidImage(f"{expected}; {broken} of {image.size} values are NaN, infinite or beyond float32")
    return image


def describe(error: BaseException, home: Path | None = None) -> Failure:
    """Return an exception as a failure. Folders are left out of file names: results are made to be published."""
    report = traceback.TracebackException.from_exception(error)
    said = "".join(report.format_exception_only()).strip()
    trace = _without_folders("".join(report.format()))
    message = said
    own = [frame for frame in report.stack if home is None or home.resolve() in Path(frame.filename).resolve().parents]
    if isinstance(error, MarbenchError):
        message = str(error)
    elif report.stack:
        last = (own or report.stack)[-1]
        message = f"{said} [{Path(last.filename).name}, line {last.lineno}, in {last.name}: {last.line}]"
    return Failure(
        "invalid" if isinstance(error, InvalidImage) else "oom" if _out_of_memory(error) else "error",
        type(error).__name__,
        _without_folders(message)[:MESSAGE_LIMIT],
        "" if isinstance(error, InvalidImage) else trace[-TRACE_LIMIT:],
    )


def _out_of_memory(error: BaseException) -> bool:
    # The CPU allocator of torch raises a plain RuntimeError.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def _without_folders(text: str) -> str:
    """Shorten the file names of a traceback to ``folder/file``, and the home folder to ``~``."""
    short = re.sub(r'File "([^"]+)"', lambda match: f'File "{"/".join(Path(match[1]).parts[-2:])}"', text)
    return short.replace(str(Path.home()), "~") if str(Path.home()) != "/" else short


def _copy(scan: Scan, device: torch.device) -> Scan:
    tensors = (scan.sinogram, scan.metal_mask, scan.metal_trace, scan.image)
    return Scan(*(tensor.to(device, copy=True) for tensor in tensors))


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _restored_state(seed: int) -> Iterator[None]:
    """Seed all generators, switch gradients off, and undo afterwards what a plugin may have switched for everyone."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (plugins use the legacy generator)
    torch.manual_seed(seed)
    dtype, threads, device = torch.get_default_dtype(), torch.get_num_threads(), torch.get_default_device()
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if torch.get_default_device() != device:
            torch.set_default_device(device)
