"""What came of a call: an image, or why there is none."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass
from pathlib import Path

import torch

from marbench.errors import MarbenchError
from marbench.machine.text import clean
from marbench.method.images import Image, InvalidImage
from marbench.results.rows import Status

__all__ = ["MESSAGE_LIMIT", "TRACE_LIMIT", "Failure", "Outcome", "describe"]

MESSAGE_LIMIT, TRACE_LIMIT = 2_000, 20_000
# Plain RuntimeErrors: of torch's allocator on the CPU, of CUDA as torch and Triton tell of it ("CUDA error: …", "Triton
# Error [CUDA]: …"), and of its libraries (CUBLAS_STATUS_…).
_NO_MEMORY = ("can't allocate memory", ": out of memory", "ALLOC_FAILED")


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
    """Tell whether an exception, or one that it was raised from, says so."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        if isinstance(cause, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(cause, RuntimeError) and any(words in str(cause) for words in _NO_MEMORY):
            return True
        seen.append(cause)
        cause = cause.__cause__
    return False


def _without_folders(text: str) -> str:
    """Shorten the file names of a traceback, whatever characters their folders have."""
    return re.sub(r'File "([^"\n]+)"', lambda match: f'File "{Path(match[1]).name}"', text)
