"""Checks that call a method in this process, to see what it does to its scan and how it takes several at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from marbench.bench.calls import own_state, seed_of
from marbench.bench.outcome import describe
from marbench.cases.batch import collate
from marbench.cases.case import Case, Scan
from marbench.conformance.verdict import Finding, failed, ok, skipped
from marbench.errors import MethodError
from marbench.machine.interrupts import Overdue, time_limit
from marbench.machine.threads import threads
from marbench.method.images import Image, check_image
from marbench.method.request import LoadedMethod

__all__ = ["CHECKS", "check_inside", "difference", "guarded", "tolerance"]

CHECKS = ("result", "scan", "isolation", "batch")


def tolerance(device: torch.device) -> float:
    """Return by how many HU images may differ that should be the same; sums on a GPU have no fixed order."""
    return 0.01 if device.type == "cpu" else 1.0


def difference(one: Image, other: Image) -> float:
    """Return the largest difference between two images in HU."""
    return float(np.abs(one.astype(np.float64) - other).max())


@contextmanager
def guarded(seconds: float | None) -> Iterator[None]:
    """Let a method in this process end no more than a check, and hold it to a limit of time as far as `time_limit` can.

    Raises
    ------
    MethodError
        It has taken longer, or raised what is no `Exception`: sys.exit() would end all checks, with the exit code of
        its choice.
    """
    # In another thread nobody could hold it to the limit.
    in_main = threading.current_thread() is threading.main_thread()
    try:
        with time_limit(seconds if in_main else None):
            yield
    except Overdue:
        raise MethodError(f"took longer than {seconds:g} s") from None
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise MethodError(f"{type(error).__name__}: {error}") from error


def check_inside(
    loaded: LoadedMethod,
    cases: Sequence[Case],
    images: Sequence[Image],
    device: torch.device,
    seconds: float | None,
) -> Iterator[Finding]:
    """Compare what a method gives here with ``images``, which it gave in a process of its own, case by case."""
    first, seed = cases[0], seed_of(loaded.label, cases[0].id)
    own = first.scan.copy_to(device)
    try:
        raw, image = _reduce(loaded, own, seed, seconds)
        here = image[0]
    except Exception as error:
        said = f"raised here, though not in its own process: {_told(loaded, error)}"
        yield failed("isolation", said, "see what differs between processes: files, environment, the main module")
        return
    yield _check_result(raw, device)
    yield _check_scan(first.scan, own)
    apart = difference(here, images[0])
    if apart > tolerance(device):
        found = f"the image differs by up to {apart:.3g} HU from the one of its own process"
        yield failed("isolation", found, "let it depend on the scan alone: no clock, process id or global state")
    else:
        yield ok("isolation", "the same image in its own process as in marbench's")
    yield _check_batch(loaded, cases, images, device, seconds, other=_other_seed(loaded, first, device, seconds))


def _reduce(loaded: LoadedMethod, scan: Scan, seed: int, seconds: float | None) -> tuple[Any, Image]:
    """Return what a method gives for a scan, as it is and as an image."""
    shape = tuple(scan.image.shape)
    with guarded(seconds), threads(1), own_state(seed):
        raw = loaded.reduce(scan)
        return raw, check_image(raw, shape)


def _told(loaded: LoadedMethod, error: BaseException) -> str:
    return describe(error, loaded.fitted.request.entry.home).message


def _check_result(raw: Any, device: torch.device) -> Finding:
    kind = f"a tensor of {raw.dtype} on {raw.device}" if isinstance(raw, torch.Tensor) else f"an array of {raw.dtype}"
    if str(raw.dtype).removeprefix("torch.") in ("float16", "bfloat16"):
        found = f"{kind}: at 3000 HU its steps are 2 HU or more; expected float32"
        return failed("result", found, "convert before values become HU, with .float()")
    if isinstance(raw, torch.Tensor) and raw.device.type != device.type:
        return failed("result", f"{kind}; expected it on {device}", "leave it there: .cpu() costs time in every call")
    return ok("result", kind)


def _check_scan(before: Scan, after: Scan) -> Finding:
    changed = []
    for part in fields(Scan):
        own = getattr(after, part.name)
        kept = getattr(before, part.name).to(own.device)
        if own.shape != kept.shape or not torch.equal(own, kept):
            changed.append(f"scan.{part.name}")
    if changed:
        return failed("scan", f"changed in place: {', '.join(changed)}", "work on a copy: .clone()")
    return ok("scan", "left as it was")


def _other_seed(loaded: LoadedMethod, case: Case, device: torch.device, seconds: float | None) -> Image | None:
    """Return the image under another seed; None where there is none."""
    seed = seed_of(loaded.label, f"{case.id} again")
    try:
        image: Image = _reduce(loaded, case.scan.copy_to(device), seed, seconds)[1][0]
    except Exception:
        return None
    return image


def _check_batch(
    loaded: LoadedMethod,
    cases: Sequence[Case],
    images: Sequence[Image],
    device: torch.device,
    seconds: float | None,
    other: Image | None,
) -> Finding:
    if other is None or difference(other, images[0]) > tolerance(device):
        return skipped("batch", "it draws random numbers, which differ with the place in a batch")
    scan = collate(cases).scan.copy_to(device)
    advice = "every tensor of a scan has a batch axis: treat the cases along it each by itself"
    try:
        together = _reduce(loaded, scan, 0, seconds)[1]
    except Exception as error:
        return failed("batch", f"{len(cases)} scans at once: {_told(loaded, error)}", advice)
    apart = max(difference(one, alone) for one, alone in zip(together, images, strict=True))
    # Products of other shapes are summed in another order.
    if apart > 50 * tolerance(device):
        found = f"of {len(cases)} scans at once, images differ by up to {apart:.3g} HU from those of one at a time"
        return failed("batch", found, advice)
    return ok("batch", f"{len(cases)} scans at once give the same as one at a time")
