"""What a CUDA device can be used for, said before the first kernel fails."""

from __future__ import annotations

import importlib.util
import os
import re
from importlib.metadata import PackageNotFoundError, version

import torch

from marbench.errors import MarbenchError
from marbench.machine.text import clean_line

__all__ = ["check_device", "device_of", "why_not_triton"]

TRITON_CAPABILITY = (8, 0)
TRITON_VERSION = (3, 6)


def check_device(device: torch.device) -> None:
    """Raise MarbenchError if a CUDA device is meant that is absent, or too old for this torch."""
    if device.type != "cuda":
        return
    count = torch.cuda.device_count()
    if (device.index or 0) >= count:
        cause = "is built for the CPU" if torch.version.cuda is None else f"sees {count} CUDA devices"
        raise MarbenchError(
            f"Expected the device {device}. torch {torch.__version__} {cause}; see nvidia-smi and "
            "CUDA_VISIBLE_DEVICES, install torch with CUDA, or use the device cpu."
        )
    capability = torch.cuda.get_device_capability(device)
    built_for = [int(name) for name in re.findall(r"(?:sm|compute)_(\d+)", " ".join(torch.cuda.get_arch_list()))]
    if built_for and capability[0] * 10 + capability[1] < min(built_for):
        raise MarbenchError(
            f"{torch.cuda.get_device_name(device)} (compute capability {capability[0]}.{capability[1]}) is too old "
            f"for torch {torch.__version__}, which is built for {min(built_for) / 10:.1f} and newer: use the device "
            "cpu, or a torch that still supports it."
        )


def device_of(name: str | torch.device) -> torch.device:
    """Return a device by its name, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    MarbenchError
        It is none of these (torch knows names of devices for which nothing here is made), or this machine has no such
        device, or cannot use it.
    """
    if not re.fullmatch(r"cpu|cuda(:\d{1,2})?", str(name)):
        raise MarbenchError(f"There is no device {clean_line(str(name), 80)!r}. Use cpu or cuda.")
    device = torch.device(name)
    check_device(device)
    return device


def why_not_triton(device: torch.device) -> str | None:
    """Return why Triton kernels cannot run on a device, or None if they can. Does not import triton."""
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed (torch's CUDA wheels bring it)"
    try:
        installed = version("triton")
    except PackageNotFoundError:
        return "triton is installed without its version"
    if tuple(map(int, re.findall(r"\d+", installed)[:2])) < TRITON_VERSION:
        return f"triton {installed} is older than {'.'.join(map(str, TRITON_VERSION))}"
    if device.type == "cpu" and os.environ.get("TRITON_INTERPRET") == "1":
        return None  # kernels run in Python, for tests
    if device.type != "cuda":
        return f"Triton kernels run on CUDA devices. Got {device.type!r}"
    capability = torch.cuda.get_device_capability(device)
    if capability < TRITON_CAPABILITY:
        have, need = (".".join(map(str, pair)) for pair in (capability, TRITON_CAPABILITY))
        return f"{torch.cuda.get_device_name(device)} has compute capability {have}; Triton needs {need}"
    return None
