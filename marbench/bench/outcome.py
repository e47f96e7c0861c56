"""What came of a call: an image, or why there is none."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from marbench.errors import DataError, MarbenchError
from marbench.machine.text import clean
from marbench.results.rows import Status
from marbench.tensors import refuse_attenuation

__all__ = ["Failure", "Image", "InvalidImage", "Outcome", "check_image", "check_unit", "describe"]

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


def check_image(result: Any, shape: tuple[int, ...]) -> Image:
    """Return a method's result as a float32 array, or raise `InvalidImage`: what was expected, and what came."""
    expected = f"expected a floating tensor or array of shape {shape}, all finite, in HU"
    # Each of these would otherwise become an image that its author did not mean: masks dropped, integers cut, padding
    # invented. Batches are not squeezed either: a missing axis is a misunderstanding to be told.
    if isinstance(result, np.ma.MaskedArray):
        raise InvalidImage(f"{expected}; got a masked array: fill it, e.g. with .filled(value)")
    if isinstance(result, np.ndarray) and result.dtype.kind == "f" and result.dtype.itemsize <= 8:
        result = torch.from_numpy(np.ascontiguousarray(result, dtype=result.dtype.newbyteorder("=")))
    if not isinstance(result, torch.Tensor):
        kind = f"an array of {result.dtype}" if isinstance(result, np.ndarray) else f"{type(result).__name__}"
        raise InvalidImage(f"{expected}; got {kind}")
    if not result.is_floating_point():
        raise InvalidImage(f"{expected}; got {result.dtype}")
    if result.layout != torch.strided or result.device.type == "meta" or result.is_nested:
        kind = "nested tensor" if result.is_nested else f"tensor of layout {result.layout}"
        raise InvalidImage(f"{expected}; got a {kind} on the device {result.device}")
    if tuple(result.shape) != shape:
        raise InvalidImage(f"{expected}; got shape {tuple(result.shape)}")
    # float64 beyond float32 becomes infinite here, and is found below.
    image: Image = result.detach().to("cpu", torch.float32).numpy()
    broken = image.size - int(np.count_nonzero(np.isfinite(image)))
    if broken:
        raise InvalidImage(f"{expected}; {broken} of {image.size} values are NaN, infinite or beyond float32")
    return image


def check_unit(image: Image) -> Image:
    """Return an image that may be in HU, or raise `InvalidImage`: attenuation would be scored without a word."""
    try:
        refuse_attenuation(torch.from_numpy(image), "the image")
    except DataError as error:
        raise InvalidImage(str(error)) from None
    return image


def describe(error: BaseException, home: Path | None = None) -> Failure:
    """Return an exception as a failure, fit to be published: no folder of this machine is named.

    Parameters
    ----------
    error : BaseException
    home : Path, optional
        The plugin's folder: the message quotes its last line that took part.
    """
    # Holds text only: an exception that were kept would keep every local of the plugin's frames.
    report = traceback.TracebackException.from_exception(error)
    said = "".join(report.format_exception_only()).strip()
    own = [frame for frame in report.stack if home is None or home.resolve() in Path(frame.filename).resolve().parents]
    message = said
    if isinstance(error, MarbenchError):
        message = str(error)
    elif report.stack:
        last = (own or report.stack)[-1]
        message = f"{said} [{Path(last.filename).name}, line {last.lineno}, in {last.name}: {last.line}]"
    trace = "" if isinstance(error, InvalidImage) else _without_folders("".join(report.format()))[-TRACE_LIMIT:]
    return Failure(
        "invalid" if isinstance(error, InvalidImage) else "oom" if _out_of_memory(error) else "error",
        clean(type(error).__name__, 100),
        clean(message[: 4 * MESSAGE_LIMIT], MESSAGE_LIMIT),  # of 20 MB the beginning is enough to look through
        clean(trace),
    )


def _out_of_memory(error: BaseException) -> bool:
    # The CPU allocator of torch raises a plain RuntimeError.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def _without_folders(text: str) -> str:
    """Shorten the file names of a traceback, whatever characters their folders have."""
    return re.sub(r'File "([^"\n]+)"', lambda match: f'File "{Path(match[1]).name}"', text)
