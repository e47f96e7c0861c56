"""marbench: a benchmark suite for metal artifact reduction (MAR) in X-ray CT.

>>> import marbench
>>> marbench.load_spec("mini").grid
ImageGrid(rows=128, columns=128, pixel=0.32)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marbench.bench.evaluate import evaluate, score
    from marbench.errors import MarbenchError
    from marbench.method import Context, Method
    from marbench.plugins import methods
    from marbench.registry import load_method
    from marbench.scan import Case, Scan, Truth
    from marbench.simulate import Suite
    from marbench.spec import Spec, load_spec

__version__ = "0.1.0"

# Public names and where they live. They are imported on first use, so that `import marbench` and `marbench --help`
# load neither torch nor matplotlib.
_HOMES = {
    "Case": "scan",
    "Context": "method",
    "MarbenchError": "errors",
    "Method": "method",
    "Scan": "scan",
    "Spec": "spec",
    "Suite": "simulate",
    "Truth": "scan",
    "evaluate": "bench.evaluate",
    "load_method": "registry",
    "load_spec": "spec",
    "methods": "plugins",
    "score": "bench.evaluate",
}

__all__ = [
    "Case",
    "Context",
    "MarbenchError",
    "Method",
    "Scan",
    "Spec",
    "Suite",
    "Truth",
    "evaluate",
    "load_method",
    "load_spec",
    "methods",
    "score",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"marbench.{_HOMES[name]}"), name)
    if name in ("ct", "geometry"):
        return importlib.import_module(f"marbench.{name}")
    raise AttributeError(f"module 'marbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "ct", "geometry"})
