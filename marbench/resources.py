"""Where marbench finds the folders that it ships."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

__all__ = ["resource_folder"]

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: Literal["methods", "reports", "data_specs", "templates"]) -> Path:
    """Return a shipped folder: inside the package when installed from a wheel, at the root of a checkout otherwise."""
    bundled = _PACKAGE / "_bundled" / name
    return bundled if bundled.is_dir() else _PACKAGE.parent / name
