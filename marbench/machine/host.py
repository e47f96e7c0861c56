"""The machine and its software, by which timings are named. No user, machine or folder names: results are published."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch

from marbench.machine.cores import usable_cores
from marbench.machine.system_files import lines_of
from marbench.version import __version__

__all__ = ["PACKAGES", "describe_host", "device_name", "host_id"]

PACKAGES = ("marbench", "torch", "numpy", "scipy", "scikit-image", "pandas", "pyarrow", "pydantic", "xraydb")


def describe_host() -> dict[str, Any]:
    """Return processor, memory, GPUs, system, package versions and threads."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "memory_gb": _memory_gb(),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name)) is not None},
        "threads": torch.get_num_threads(),
    }


def host_id(host: dict[str, Any]) -> str:
    """Return a short hash of a host's description."""
    return hashlib.sha256(json.dumps(host, sort_keys=True).encode()).hexdigest()[:12]


def device_name(device: torch.device) -> str:
    """Return the name of the hardware behind a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()


def _cpu_name(root: Path = Path("/")) -> str:
    """Return what the processor is called. On ARM, Linux knows the board's name, or else numbers of the core alone."""
    lines = [line.partition(":") for line in lines_of(root / "proc/cpuinfo")]
    told = {key.strip(): value.strip() for key, _, value in reversed(lines)}  # of the first core
    board = "".join(lines_of(root / "sys/firmware/devicetree/base/model")).strip("\0 ")
    numbers = ", ".join(f"{key} {told[key]}" for key in ("CPU implementer", "CPU part") if key in told)
    names = (told.get("model name"), board, numbers, _apple_name(), platform.processor(), platform.machine())
    return next(filter(None, names), "")


def _apple_name() -> str:
    """Return what macOS calls the processor, as "Apple M2 Pro"; empty elsewhere."""
    if platform.system() != "Darwin":
        return ""
    with suppress(OSError):
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return ""


def _memory_gb() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    except (AttributeError, OSError, ValueError):  # Windows
        return None


@cache
def _version(package: str) -> str | None:
    if package == "marbench":  # of the running code, installed or not
        return __version__
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
